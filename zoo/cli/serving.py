"""`zoo serve`: a policy behind a WebSocket, for `zoo evaluate`, vla-eval and clients of openpi."""

import logging

from zoo import registry

logger = logging.getLogger(__name__)


def serve(
    *,
    policy: str,
    port: int = 8000,
    host: str = "127.0.0.1",
    max_batch_size: int = 16,
    max_wait_ms: float = 10.0,
    execute_steps: int | None = None,
) -> None:
    """Serve a policy until Ctrl-C. Frames of vla-eval and the simple form of openpi are both understood.

    Args:
        policy: Registry name.
        port: To listen at; 0 takes a free one.
        host: Address to listen at; anything but the loopback lets others use the policy.
        max_batch_size: Clients that share one call of the policy.
        max_wait_ms: Milliseconds that a request waits for those of other clients.
        execute_steps: Actions of a chunk that are used before the next query; all where nothing is given.

    Raises:
        UnknownNameError: no such policy.
        ConfigError: a number out of its range, or the port is taken.
    """
    from zoo.envs.serving.server import LOOPBACK, PolicyServer

    server = PolicyServer(
        registry.build("policy", policy),
        name=policy,
        host=host,
        port=port,
        max_batch_size=max_batch_size,
        max_wait_s=max_wait_ms / 1000,
        execute_steps=execute_steps,
    )
    if host not in (LOOPBACK, "localhost", "::1"):
        logger.warning("listening at %s: whoever reaches it can use the policy, there is no password", host)
    server.run(lambda: logger.info("%s is served at %s; Ctrl-C ends it", policy, server.address))
