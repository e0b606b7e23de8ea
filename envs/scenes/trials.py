"""The lift and the articulation gate: can what is free be lifted, can what opens be opened?

Source: sheet molmospaces section 12; section 21 for the share of a joint's range.
Differs: an object heavier than the largest lifting force can raise by the asked height in the asked time is not judged;
a joint that begins between its limits is pushed both ways, and what it covers is the sum.

Each trial is a simulation of its own from the same state of rest. Everything that lies still sleeps meanwhile, which
makes a step some fifty times cheaper in a full house; what is touched wakes.
"""

from __future__ import annotations

import numpy as np

from zoo.envs.scenes.gate_limits import SAMPLE_STEPS, GateLimits, allow_sleep, looks
from zoo.envs.scenes.inventory import NOBODY, Inventory, Item
from zoo.envs.scenes.report import Finding
from zoo.envs.simulator import mujoco

OPPOSES_SHARE = 0.1  # of the push, that a contact must give back to count as blocking
AJAR_SHARE = 0.01  # of its range, from which a joint counts as begun between its limits


class Trials:
    """Lifts and openings in a scene at rest.

    Args:
        inventory: The scene.
        model: A copy of the inventory's; sleeping is switched on in it.
        rest: State from which each trial begins.
        limits: Thresholds.
    """

    def __init__(self, inventory: Inventory, model: mujoco.MjModel, rest: mujoco.MjData, limits: GateLimits) -> None:
        self._inventory, self._model, self._rest, self._limits = inventory, model, rest, limits
        self.untested: dict[str, str] = {}
        allow_sleep(model)

    def lifts(self) -> list[Finding]:
        """One finding per free object; those too heavy go into `untested`."""
        trial = mujoco.MjData(self._model)
        findings = []
        for number, item in enumerate(self._inventory.items):
            if not item.is_free:
                continue
            gravity = -float(self._model.opt.gravity[2])
            force = self._limits.lift_force(item.mass_kg, gravity)
            wanted = 2 * self._limits.lift_m / self._limits.lift_s**2  # m/s2
            if force < item.mass_kg * (gravity + wanted):
                self.untested[item.name] = f"{item.mass_kg:.1f} kg is more than {force:g} N lift"
                continue
            mujoco.mj_copyData(trial, self._model, self._rest)
            findings.append(self._lift(number, force, trial))
        return findings

    def _lift(self, number: int, force: float, data: mujoco.MjData) -> Finding:
        item, limits = self._inventory.items[number], self._limits
        begin = data.subtree_com[item.body].copy()
        data.xfrc_applied[item.body, 2] = force
        moved = 0.0
        for _ in range(looks(self._model, limits.lift_s)):
            mujoco.mj_step(self._model, data, SAMPLE_STEPS)
            moved = max(moved, float(np.linalg.norm(data.subtree_com[item.body] - begin)))
            if moved >= limits.lift_m:
                break
        passed = moved >= limits.lift_m
        reason, culprits = f"moved {moved:.3f} m under {force:.1f} N", ()
        if not passed:
            inside = [
                other.name
                for index, other in enumerate(self._inventory.items)
                if index != number and self._inventory.holds(index, data, data.subtree_com[item.body])
            ]
            if inside:
                reason, culprits = f"{reason}, stuck inside {inside[0]!r}", (item.name,)
            else:
                reason += f", held by {', '.join(self._neighbours(number, data)) or 'nothing that it touches'}"
        return Finding(
            gate="lift",
            object=item.name,
            passed=passed,
            measured=moved,
            limit=limits.lift_m,
            unit="m",
            reason=reason,
            culprits=culprits,
        )

    def _neighbours(self, number: int, data: mujoco.MjData) -> list[str]:
        """What an item touches, in order of first contact."""
        names = []
        for first, second in data.contact.geom:
            owners = [self._inventory.owner_of_geom(geom) for geom in (first, second)]
            if number in owners and owners[0] != owners[1]:
                names.append(self._inventory.name_of_geom(second if owners[0] == number else first))
        return list(dict.fromkeys(names))

    def openings(self) -> list[Finding]:
        """One finding per hinge or slide that has a range."""
        trial = mujoco.MjData(self._model)
        return [self._opening(item, joint, trial) for item in self._inventory.items for joint in item.joints]

    def _opening(self, item: Item, joint: int, trial: mujoco.MjData) -> Finding:
        limits = self._limits
        low, high = self._model.jnt_range[joint].tolist()
        begin = float(self._rest.qpos[self._model.jnt_qposadr[joint]])
        away = 1.0 if begin - low <= high - begin else -1.0
        is_ajar = min(begin - low, high - begin) > AJAR_SHARE * (high - low)
        covered, blockers = 0.0, []
        for sign in (away, -away) if is_ajar else (away,):
            mujoco.mj_copyData(trial, self._model, self._rest)
            covered += self._push(joint, sign, limits.covered_share - covered, trial) / (high - low)
            if covered >= limits.covered_share:
                break
            blockers += self._blockers(joint, sign, trial)
        passed = covered >= limits.covered_share
        blockers = list(dict.fromkeys(blockers))
        name = self._inventory.joint_name(joint)
        reason = f"covered {covered:.0%} of its range"
        if not passed:
            reason += f", blocked by {', '.join(map(repr, blockers))}" if blockers else ", blocked by no free object"
        return Finding(
            gate="articulation",
            object=item.name,
            joint=name,
            passed=passed,
            measured=covered,
            limit=limits.covered_share,
            unit="of range",
            reason=reason,
            culprits=() if passed else tuple(blockers),
        )

    def _push(self, joint: int, sign: float, share: float, data: mujoco.MjData) -> float:
        """Farthest that a joint gets in one direction, rad or m; stops once that is the asked share of its range."""
        low, high = self._model.jnt_range[joint].tolist()
        address, dof = self._model.jnt_qposadr[joint], self._model.jnt_dofadr[joint]
        begin = float(data.qpos[address])
        data.qfrc_applied[dof] = sign * self._limits.push
        farthest = 0.0
        for _ in range(looks(self._model, self._limits.push_s)):
            mujoco.mj_step(self._model, data, SAMPLE_STEPS)
            farthest = max(farthest, sign * (float(data.qpos[address]) - begin))
            if farthest >= share * (high - low):
                break
        return farthest

    def _blockers(self, joint: int, sign: float, data: mujoco.MjData) -> list[str]:
        """Free objects whose contact forces work against a push, in order of contacts."""
        model, inventory = self._model, self._inventory
        moving = {int(model.jnt_bodyid[joint])}
        for body in range(model.jnt_bodyid[joint] + 1, model.nbody):
            if model.body_parentid[body] in moving:
                moving.add(body)
        names = []
        force = np.zeros(6)
        for number, contact in enumerate(data.contact):
            inside = [int(model.geom_bodyid[geom]) in moving for geom in contact.geom]
            other = inventory.owner_of_geom(contact.geom[0 if inside[1] else 1])
            if inside[0] == inside[1] or other == NOBODY or not inventory.items[other].is_free:
                continue
            mujoco.mj_contactForce(model, data, number, force)
            world = contact.frame.reshape(3, 3).T @ force[:3] * (1.0 if inside[1] else -1.0)  # on the moving part
            axis = data.xaxis[joint]
            if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE.value:
                along = axis @ np.cross(contact.pos - data.xanchor[joint], world)
            else:
                along = axis @ world
            if sign * along < -OPPOSES_SHARE * self._limits.push:
                names.append(inventory.items[other].name)
        return names
