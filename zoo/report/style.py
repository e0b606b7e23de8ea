"""The style sheet of a report: one column on a phone, cards beside each other on a desk, light and dark."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5c6670; --paper: #ffffff; --card: #f5f6f8; --line: #dfe3e8;
  --good: #1a7f37; --bad: #c4262e; --bar: #9db8dd; --mark: #c4772a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --paper: #14171b; --card: #1d2126;
  --line: #323840; --good: #4cc26a; --bad: #ff6b6b; --bar: #3d5f8f; --mark: #e09a4c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.5rem; margin: .2rem 0 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .7rem; }
h3 { font-size: .95rem; margin: 0 0 .3rem; font-weight: 600; overflow-wrap: anywhere; }
.note, .meta { color: var(--soft); margin: .2rem 0; overflow-wrap: anywhere; } .meta { font-size: .9rem; }
.facts { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; }
.fact { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .9rem; }
.fact b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.fact span { color: var(--soft); font-size: .82rem; }
.scroll { overflow-x: auto; scrollbar-width: thin; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; }
th:first-child, td:first-child { text-align: left; } tr.total td { font-weight: 600; }
td.text { white-space: normal; min-width: 9rem; }
td.bar { min-width: 9rem; padding-right: .9rem; } .track { position: relative; height: .55rem; border-radius: 3px;
  background: var(--card); border: 1px solid var(--line); }
.track i { position: absolute; inset: 0 auto 0 0; background: var(--bar); border-radius: 2px; }
.track u { position: absolute; top: -3px; bottom: -3px; width: 2px; background: var(--mark); }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem; min-width: 0; }
.card svg { width: 100%; height: auto; }
video, img.still { width: 100%; border-radius: 5px; background: #000; display: block; }
.kept { margin: .8rem 0; } .kept img { width: 100%; min-width: 44rem; max-width: 90rem; display: block; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; margin: .5rem 0; }
.pair video { flex: 1 1 15rem; max-width: 26rem; background: none; } .pair > div { flex: 1 1 15rem; max-width: 34rem; }
.grid.wide { grid-template-columns: repeat(auto-fill, minmax(min(33rem, 100%), 1fr)); }
.pair img.plan { flex: 1 1 11rem; min-width: 0; max-width: 20rem; border-radius: 5px; background: #fff; }
.filters { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: baseline; margin: 1rem 0; }
.filters select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; padding: .2rem .4rem; max-width: 14rem; }
.ways { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); }
.ways figure { margin: 0; padding: .5rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  border-top: 4px solid var(--bad); min-width: 0; } .ways figure.good { border-top-color: var(--good); }
.ways img { width: 100%; height: 13rem; object-fit: contain; display: block; background: #fff; border-radius: 4px; }
.ways figcaption { text-align: left; font-size: .8rem; margin-top: .3rem; overflow-wrap: anywhere; }
.way { display: inline-block; width: 6rem; height: .6rem; border-radius: 3px; vertical-align: baseline;
  background: linear-gradient(90deg, rgb(40 70 200), rgb(0 165 190), rgb(90 175 60), rgb(240 170 0), rgb(215 40 40)); }
.strip { display: flex; gap: 3px; overflow-x: auto; scrollbar-width: thin; margin: .5rem 0; }
.strip figure { margin: 0; flex: 0 0 auto; }
.strip img { height: 64px; display: block; border-radius: 3px; }
figcaption { font-size: .7rem; color: var(--soft); text-align: center; }
ul.answers { list-style: none; margin: .5rem 0 0; padding: 0; }
ul.answers li { padding: .3rem 0 .3rem 1.4rem; border-top: 1px solid var(--line); position: relative; }
ul.answers li::before { position: absolute; left: .1rem; font-weight: 700; }
li.right::before { content: "\\2713"; color: var(--good); } li.wrong::before { content: "\\2717"; color: var(--bad); }
li.right b { color: var(--good); } li.wrong b { color: var(--bad); }
.family { color: var(--soft); font-size: .78rem; margin-left: .4rem; }
summary { cursor: pointer; color: var(--soft); }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem;
  font-size: .82rem; }
"""
