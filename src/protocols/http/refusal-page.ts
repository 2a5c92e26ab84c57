import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'
import type { Refusal } from './answers.ts'

/** Colours, sizes and fonts of the gateway's own pages, which have them from src/web/assets/curfew.css. */
const style = `:root{color-scheme:light dark;--ink:#1a1d21;--soft:#57606b;--line:#e2e5e9;--paper:#fff;--ground:#f6f7f8;--accent:#1f5fbf;--go:#1a7f4b;--on-go:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa3ad;--line:#2e343b;--paper:#1b1f24;--ground:#14171a;--accent:#7fb0ff;--go:#6fd19a;--on-go:#0c1a12}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}
header{background:var(--paper);border-bottom:1px solid var(--line)}
.brand{max-width:1080px;min-height:56px;margin:0 auto;padding:0 20px;display:flex;gap:8px;align-items:center;font-weight:700;letter-spacing:.01em}
svg{width:22px;height:22px}
main{max-width:600px;margin:0 auto;padding:28px 20px 64px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
p{margin:20px 0 0}
.lead{margin:0;color:var(--soft);overflow-wrap:anywhere}
.small{font:14px/1.5 ui-monospace,'SF Mono','Cascadia Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;color:var(--soft);overflow-wrap:anywhere}
a{display:inline-flex;align-items:center;justify-content:center;min-height:44px;padding:9px 16px;border-radius:8px;background:var(--go);color:var(--on-go);font-weight:600;text-decoration:none}
a:hover{filter:brightness(.96)}
a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media(max-width:600px){main{padding:18px 16px 64px}.brand{padding:0 16px}}`
/** In one piece: the policy names the hash of exactly this text. */
const styleElement = raw(`<style>${style}</style>`)
const styleHash = createHash('sha256').update(style).digest('base64')

/** `Content-Security-Policy` of a `refusalPage`: nothing but its own style. */
export const refusalPolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'`

const mark = raw(
  '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><circle cx="12" cy="12" r="9" /><path d="M12 7v5l3 2" /></svg>',
)

/** The button goes there. */
function withoutAddress(hint: string): string {
  return hint.replace(/: https?:\/\/\S+$/, '.')
}

/** What a person reads at an application's host when the gate says no: complete in itself, as nothing else can be loaded there. */
export function refusalPage({ fault, requestId, link }: Refusal): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${fault.message} · Curfew</title>
        ${styleElement}
      </head>
      <body>
        <header><div class="brand">${mark}Curfew</div></header>
        <main>
          <h1>${fault.message}</h1>
          <p class="lead">${link === undefined ? fault.hint : withoutAddress(fault.hint)}</p>
          ${link !== undefined && html`<p><a href="${link.url.href}">${link.text}</a></p>`}
          <p class="small">${fault.code} · ${requestId}</p>
        </main>
      </body>
    </html>`
  // Nothing in it is waited for.
  return (page as HtmlEscapedString).toString()
}
