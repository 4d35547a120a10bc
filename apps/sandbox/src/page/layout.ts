import { html, Markup } from './html.ts';

const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa;--code:#818b981f;--link:#0969da;--go:#1f883d;--good:#1a7f37;--bad:#d1242f;--wait:#9a6700;--done:#8250df}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#f0f6fc;--dim:#9198a1;--line:#3d444d;--soft:#151b23;--code:#656c7633;--link:#4493f8;--go:#238636;--good:#3fb950;--bad:#f85149;--wait:#d29922;--done:#ab7df8}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
header.top{padding:12px 24px;background:var(--soft);border-bottom:1px solid var(--line);display:flex;gap:12px;align-items:baseline;flex-wrap:wrap}header.top small{color:var(--dim)}
main{max-width:960px;margin:0 auto;padding:24px}h1{font-size:26px;font-weight:500;margin:0 0 8px}h2{font-size:16px;margin:28px 0 8px}
.dim{color:var(--dim)}.mono,code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:.88em}
.pill{display:inline-block;padding:3px 12px;border-radius:99px;color:#fff;font-weight:600;font-size:13px;background:var(--go)}.pill.merged{background:var(--done)}.pill.closed{background:var(--bad)}.pill.draft{background:var(--dim)}
.label{display:inline-block;padding:0 8px;border-radius:99px;border:1px solid var(--line);background:var(--soft);font-size:12px;margin-left:4px}
.box{border:1px solid var(--line);border-radius:8px;margin:12px 0;overflow:hidden;background:var(--bg)}.box>header{display:flex;gap:4px 8px;flex-wrap:wrap;align-items:center;padding:8px 14px;background:var(--soft);border-bottom:1px solid var(--line);color:var(--dim);font-size:14px}.box>header b{color:var(--fg)}.box>header img{width:22px;height:22px;border-radius:50%}
.body{padding:12px 16px;overflow-wrap:anywhere}.body>:first-child{margin-top:0}.body>:last-child{margin-bottom:0}.body table{border-collapse:collapse;display:block;width:max-content;max-width:100%;overflow:auto;overflow-wrap:normal;margin:12px 0}.body th,.body td{border:1px solid var(--line);padding:5px 12px}.body tr:nth-child(even){background:var(--soft)}.body pre{background:var(--soft);padding:12px;border-radius:6px;overflow:auto}.body code{background:var(--code);padding:2px 5px;border-radius:5px}.body pre code{padding:0;background:none}.body img{max-width:100%}.body blockquote{margin:0;padding:0 1em;border-left:4px solid var(--line);color:var(--dim)}
ul.rows{list-style:none;margin:0;padding:0}ul.rows>li{padding:10px 14px;border-top:1px solid var(--line)}ul.rows>li:first-child{border-top:0}
.dot{display:inline-block;width:10px;height:10px;border-radius:50%;background:var(--wait);margin-right:6px}.dot.success{background:var(--good)}.dot.failure,.dot.error,.dot.timed_out{background:var(--bad)}.dot.inactive,.dot.neutral,.dot.skipped,.dot.cancelled{background:var(--dim)}
.actions{display:flex;gap:8px;flex-wrap:wrap;align-items:center}button{font:inherit;font-weight:600;padding:6px 16px;border-radius:6px;border:1px solid var(--line);background:var(--soft);color:var(--fg);cursor:pointer}button.go{background:var(--go);border-color:transparent;color:#fff}button:disabled{opacity:.5;cursor:not-allowed}
textarea{width:100%;min-height:80px;font:inherit;padding:8px;border-radius:6px;border:1px solid var(--line);background:var(--bg);color:var(--fg)}
`;

// Replaces what changed every two seconds and leaves what is being typed or read alone.
const REFRESH = `
let last;
const refresh = async () => {
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
    const text = await answer.text();
    const next = new DOMParser().parseFromString(text, 'text/html').querySelector('#live');
    const live = document.querySelector('#live');
    if (next && live && last !== undefined && next.innerHTML !== last) {
      const open = [...live.querySelectorAll('details')].map((d) => d.open);
      live.innerHTML = next.innerHTML;
      live.querySelectorAll('details').forEach((d, i) => { if (open[i]) d.open = true; });
    }
    if (next) last = next.innerHTML;
  } catch {}
  setTimeout(refresh, 2000);
};
refresh();
`;

export function layout(title: string, nonce: string, live: Markup, still: Markup = new Markup('')): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style nonce="${nonce}">${new Markup(STYLE)}</style>
</head>
<body>
<header class="top"><a href="/"><b>Sandbox forge</b></a><small>stands in for GitHub on this machine</small></header>
<main><div id="live">${live}</div>${still}</main>
<script nonce="${nonce}">${new Markup(REFRESH)}</script>
</body>
</html>`.text;
}
