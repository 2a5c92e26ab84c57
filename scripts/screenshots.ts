/**
 * `npm run screenshots`: plays the demo's stories with real psql, ssh, sftp, curl and Chromium, and writes docs/images/*.png,
 * docs/images/*.txt and the terminal blocks of README.md. Takes about three minutes: the grants are real.
 * `npm run screenshots approvals`: only those of the approval page, in half a minute.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { openBrowser } from '../test/clients/browser.ts'
import { Terminal } from '../test/clients/terminal.ts'
import { startDemo, usualPorts } from './demo/start.ts'
import { approveInTwo, readOnce } from './screenshots/approvals.ts'
import { beginPsql, endPsql, reviewPsql } from './screenshots/psql.ts'
import { beginSsh, endSsh, lookAround, reviewSsh } from './screenshots/ssh.ts'
import { beginWeb, endWeb, placeTool, reviewWeb } from './screenshots/web.ts'
import { checkout, images, keepText, pageOf, shoot, startAgent, type Stage } from './screenshots/stage.ts'

const grantMsMax = 150_000

await main()

async function main(): Promise<void> {
  // Not a name by chance: it is on the pictures.
  const folder = join(tmpdir(), 'curfew-demo')
  try {
    await mkdir(images, { recursive: true })
    await using demo = await startDemo({ dataFolder: folder, reset: true, step: (_title, work) => work() })
    if (demo.ssh === undefined) throw new Error('there is no sshd on this machine')
    // They are on the pictures, and in what README.md says to open.
    if (!isDeepStrictEqual(demo.ports, usualPorts)) throw new Error('somebody else listens on the demo’s usual ports')
    await using agent = await startAgent(folder)
    await using browser = await openBrowser([demo.folder.certificate])
    const alice = await browser.page({ viewport: { width: 1120, height: 760 } })
    const stage = { demo, browser, alice }
    if (process.argv[2] === 'approvals') await playApprovals(stage, folder)
    else await play(stage, folder, { SSH_AUTH_SOCK: agent.socket })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function playApprovals(stage: Stage, folder: string): Promise<void> {
  await using terminal = await Terminal.open(folder, { env: {}, socket: 'tmux-approvals', rows: 40 })
  await readOnce(stage, terminal)
  await approveInTwo(stage)
}

async function play(stage: Stage, folder: string, env: Readonly<Record<string, string>>): Promise<void> {
  await placeTool(folder)
  const PATH = `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`
  const open = (name: string, rows = 60) =>
    Terminal.open(folder, { env: { ...env, PATH }, socket: `tmux-${name}`, rows })
  await using psql = await open('psql')
  await using ssh = await open('ssh', 20)
  await using menu = await open('menu')
  await using files = await open('files')
  await using login = await open('login')
  await using curl = await open('curl')
  await using replay = await open('replay')
  await beginPsql(stage, psql)
  await beginSsh(stage, ssh)
  const web = await beginWeb(stage, { login, curl })
  await lookAround(stage, menu, files)
  await stage.alice.setViewportSize({ width: 1120, height: 880 })
  await stage.alice.goto(stage.demo.webUrl.href)
  await shoot(stage.alice, 'my-access')
  await stage.alice.setViewportSize({ width: 1120, height: 760 })
  await shoot(await pageOf(stage, 'olga', '/sessions', 680), 'sessions')
  await endPsql(psql, grantMsMax)
  await endSsh(ssh, grantMsMax)
  await endWeb(stage, web, curl, grantMsMax)
  await reviewPsql(stage)
  await approveInTwo(stage)
  await reviewSsh(stage)
  await reviewWeb(stage, replay)
  await showInReadme('ssh', await keepText(ssh, 'terminal-ssh'))
  await showInReadme('menu', await keepText(menu, 'terminal-menu'))
  await showInReadme('psql', await keepText(psql, 'terminal-psql'))
  await showInReadme('curl', await keepText(curl, 'terminal-curl'))
  await showInReadme('replay', await keepText(replay, 'terminal-replay'))
}

async function showInReadme(name: string, shown: string): Promise<void> {
  const file = join(checkout, 'README.md')
  const readme = await readFile(file, 'utf8')
  const block = new RegExp(`(<!-- terminal ${name} -->\\s+\`\`\`\\n)[^]*?(\`\`\`\\s+<!-- /terminal -->)`)
  if (!block.test(readme)) throw new Error(`README.md has no terminal block "${name}"`)
  await writeFile(
    file,
    readme.replace(block, (_all, before: string, after: string) => `${before}${shown}\n${after}`),
  )
}
