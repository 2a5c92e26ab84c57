import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Makes the folder in which shells on `web-1` begin, with some files to look at, unless it is there. Since its shells
 * are those of the person who runs the demo, their own settings are not read there; these are.
 */
export async function makeHome(home: string): Promise<void> {
  if (existsSync(home)) return
  const half = `${home}.new`
  await rm(half, { recursive: true, force: true })
  await mkdir(join(half, 'shop'), { recursive: true, mode: 0o700 })
  for (const [name, text] of Object.entries(files)) await writeFile(join(half, name), text)
  await rename(half, home)
}

const welcome = `
This is web-1 of the Curfew demo. In truth it is your own machine and your own
account, in a folder with examples: what you do here is real. See README.

`

const readme = `web-1 of the Curfew demo

A real sshd of the demo's own runs on your machine and lets only you in, by
certificates that the gateway makes for each session. This folder is HOME.

Try:
  ls -l shop
  less shop/access.log      a full-screen program is cut off as a shell is
  tail -f shop/access.log
  top
  exit

From elsewhere, through the same gateway: a command, sftp, scp, rsync, -L.
Nothing that you do here is undone: it is your account. "npm run demo -- --reset"
makes this folder anew.
`

// Shells that sshd starts begin in the account's own home, whatever HOME says.
const goHome = '[ "${SHLVL:-1}" -gt 1 ] || cd\n'
const greet = 'cat .welcome\n'

const files: Readonly<Record<string, string>> = {
  README: readme,
  '.welcome': welcome,
  '.bash_profile': `. ~/.bashrc\n${greet}`,
  '.bashrc': `${goHome}PS1='web-1:\\w\\$ '\n`,
  '.profile': `cd\nPS1='web-1$ '\n${greet}`,
  '.zshenv': goHome,
  '.zshrc': "PS1='web-1:%~%# '\n",
  '.zlogin': greet,
  'shop/index.html': '<!doctype html>\n<title>The shop</title>\n<h1>Everything must go</h1>\n',
  'shop/shop.conf': 'listen 8080;\nroot /srv/shop;\ndatabase prod-db;\nworkers 4;\n',
  'shop/access.log': accessLog(),
}

/** A day of requests, one each 40 seconds. */
function accessLog(): string {
  const paths = [
    '/',
    '/shop.css',
    '/products/17',
    '/cart',
    '/products/231',
    '/checkout',
    '/products/8',
    '/search?q=lamp',
  ]
  const lines = Array.from({ length: 2160 }, (_, index) => {
    const time = new Date(Date.UTC(2026, 10, 21) + index * 40_000).toISOString()
    const status = index % 97 === 0 ? 502 : index % 31 === 0 ? 404 : 200
    return `203.0.113.${(index * 37) % 250} ${time} GET ${paths[(index * 5) % paths.length]} ${status} ${(index * 811) % 9000}\n`
  })
  return lines.join('')
}
