import { createHash } from 'node:crypto'

export interface PageAccount {
  readonly login: string
  readonly email: string
  readonly name: string
  readonly groups: readonly string[]
  readonly needsPassword: boolean
}

const style = `
:root { color-scheme: light dark; --ink: #1a1d21; --soft: #5b6470; --line: #e2e5e9; --paper: #fff; --ground: #f6f7f8; --accent: #1f5fbf; --stop: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #9aa3ad; --line: #2e343b; --paper: #1b1f24; --ground: #14171a; --accent: #7fb0ff; --stop: #ff9a92; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 440px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; }
p { color: var(--soft); margin: 0 0 20px; }
p.stop { color: var(--stop); }
button { display: block; width: 100%; min-height: 44px; margin: 0 0 12px; padding: 12px 16px; border: 1px solid var(--line); border-radius: 10px; background: var(--paper); color: inherit; font: inherit; text-align: left; cursor: pointer; }
button:hover { border-color: var(--accent); }
button b, button span { display: block; overflow-wrap: anywhere; }
button span { color: var(--soft); font-size: 14px; }
button.main { font-weight: 600; text-align: center; margin-top: 16px; }
button.plain { border: 0; background: none; color: var(--soft); text-align: center; }
button:focus-visible, input:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
label { display: block; font-weight: 600; margin: 16px 0 6px; }
input { width: 100%; min-height: 44px; padding: 9px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--paper); color: inherit; font: inherit; }
hr { border: 0; border-top: 1px solid var(--line); margin: 24px 0; }
`
const submitAtOnce = `document.forms[0].submit()`
const sha256 = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Nothing loads from anywhere; only the style and the one script below run. No form-action: it would also stop the redirect back. */
export const pagePolicy = `default-src 'none'; img-src data:; style-src ${sha256(style)}; script-src ${sha256(submitAtOnce)}; base-uri 'none'; frame-ancestors 'none'`

export function signInPage(accounts: readonly PageAccount[], hint: string, problem: string | null): string {
  const buttons = accounts.filter((account) => !account.needsPassword).map(accountButton)
  const passwords = accounts.some((account) => account.needsPassword)
  return page(
    'Sign in',
    `<h1>Sign in</h1><p>Demo identity provider. Choose who you are.</p>
${problem === null ? '' : `<p class="stop" role="alert">${escape(problem)}</p>`}
<form method="post">${buttons.join('\n')}</form>
${buttons.length > 0 ? '<hr>' : ''}
<form method="post">
<label for="login">Name or e-mail</label>
<input id="login" name="login" value="${escape(hint)}" autocomplete="username" autocapitalize="none" spellcheck="false" required>
${passwords ? '<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password">' : ''}
<button class="main">Sign in</button>
</form>
<form method="post"><button class="plain" name="cancel" value="yes">Cancel</button></form>`,
  )
}

/** Signs out without asking again; a button for browsers that run no script. */
export function signOutPage(form: string): string {
  return page(
    'Signing out',
    `<h1>Signing out</h1>
<form method="post" action="${actionOf(form)}"><input type="hidden" name="xsrf" value="${xsrfOf(form)}"><input type="hidden" name="logout" value="yes">
<button class="main">Sign out</button></form><script>${submitAtOnce}</script>`,
  )
}

/** Where a program tells its person to go, with the code that it showed. */
export function deviceCodePage(form: string): string {
  return page(
    'Sign in to a program',
    `<h1>Sign in to a program</h1>
<form method="post" action="${actionOf(form)}"><input type="hidden" name="xsrf" value="${xsrfOf(form)}">
<label for="user_code">The code that it shows</label>
<input id="user_code" name="user_code" autocomplete="off" autocapitalize="characters" spellcheck="false" required>
<button class="main">Go on</button></form>`,
  )
}

export function deviceConfirmPage(form: string, code: string): string {
  const hidden = { xsrf: xsrfOf(form), user_code: code }
  const inputs = Object.entries(hidden).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${escape(value)}">`,
  )
  return page(
    'Is this your program?',
    `<h1>Is this your program?</h1><p>It must show the code ${escape(code)}. If it does not, or you began nothing, stop here.</p>
<form method="post" action="${actionOf(form)}">${inputs.join('')}<button class="main" name="confirm" value="yes">It is mine: go on</button>
<button class="plain" name="abort" value="yes">Stop</button></form>`,
  )
}

export function messagePage(title: string, text: string): string {
  return page(title, `<h1>${escape(title)}</h1><p>${escape(text)}</p>`)
}

/** The library hands over forms of its own; what they are for is in these two. */
function actionOf(form: string): string {
  return /action="([^"]*)"/.exec(form)?.[1] ?? ''
}

function xsrfOf(form: string): string {
  return /name="xsrf" value="([^"]*)"/.exec(form)?.[1] ?? ''
}

function accountButton(account: PageAccount): string {
  const groups = account.groups.length > 0 ? `<span>${escape(account.groups.join(', '))}</span>` : ''
  return `<button name="login" value="${escape(account.login)}"><b>${escape(account.name)}</b><span>${escape(account.email)}</span>${groups}</button>`
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} - demo identity provider</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<main>
${body}
</main>
</html>
`
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`)
}
