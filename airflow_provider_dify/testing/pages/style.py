"""The style sheet of the pages."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --text: #1d2433; --quiet: #667085; --line: #e4e7ec; --ground: #f5f6f8;
  --card: #fff; --link: #155eef; --good: #067647; --good-on: #ecfdf3; --bad: #b42318; --bad-on: #fef3f2;
  --odd: #93590a; --odd-on: #fffaeb; --off: #475467; --off-on: #e9ecf1; --mark: #fff3c4; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8ec; --quiet: #98a2b3; --line: #2c3340; --ground: #12151b;
  --card: #1a1f28; --link: #84adff; --good: #75e0a7; --good-on: #0b3324; --bad: #fda29b; --bad-on: #47160f;
  --odd: #fec84b; --odd-on: #40290a; --off: #b6bfcc; --off-on: #2a313d; --mark: #5c4a08; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header { background: var(--card); border-bottom: 1px solid var(--line); padding: 12px 0; }
header, main { display: block; }
header div, main { max-width: 1080px; margin: 0 auto; }
header div { padding: 0 24px; display: flex; gap: 12px; align-items: baseline; flex-wrap: wrap; }
header a { font-weight: 650; color: var(--text); }
header span { color: var(--quiet); font-size: 13px; }
main { padding: 24px; }
@media (max-width: 600px) { main { padding: 16px; } header div { padding: 0 16px; } th, td { padding: 8px 10px; } }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
nav { color: var(--quiet); font-size: 13px; margin-bottom: 8px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 28px 0 10px; }
p { margin: 0 0 8px; }
.quiet { color: var(--quiet); font-size: 13px; }
code { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--quiet);
  white-space: nowrap; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 9px 14px; vertical-align: top; }
th { font-size: 12px; font-weight: 600; color: var(--quiet); border-bottom: 1px solid var(--line);
  white-space: nowrap; }
tr + tr td { border-top: 1px solid var(--line); }
td { overflow-wrap: anywhere; }
td .id { display: block; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.badge { display: inline-block; border-radius: 999px; padding: 1px 9px; font-size: 12.5px; white-space: nowrap;
  background: var(--off-on); color: var(--off); }
.good { background: var(--good-on); color: var(--good); }
.bad { background: var(--bad-on); color: var(--bad); }
.odd { background: var(--odd-on); color: var(--odd); }
form { display: flex; gap: 8px; margin: 16px 0 4px; flex-wrap: wrap; }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 7px 12px; flex: 1 1 240px; min-width: 0; }
input[type=number] { flex: 0 0 84px; width: 84px; }
button { font: inherit; font-weight: 600; color: #fff; background: #155eef; border: 0; border-radius: 8px;
  padding: 7px 18px; cursor: pointer; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px;
  margin-bottom: 10px; }
.card .top { display: flex; gap: 8px; flex-wrap: wrap; align-items: baseline; margin-bottom: 6px; }
.card .text { white-space: pre-wrap; overflow-wrap: anywhere; }
.card .quiet { margin: 6px 0 0; }
.empty { color: var(--quiet); padding: 20px 16px; background: var(--card); border: 1px dashed var(--line);
  border-radius: 10px; }
label { display: flex; align-items: center; gap: 8px; color: var(--quiet); font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 14px 0 0; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.pages { display: flex; gap: 14px; margin-top: 10px; }
"""
