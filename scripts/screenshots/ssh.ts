import type { Terminal } from '../../test/clients/terminal.ts'
import { approveOnPhone, openAs, openRecording, pageOf, shoot, type Stage } from './stage.ts'

/** The terminal stands in the demo's folder. */
function words(stage: Stage, portOption: string): string {
  return `${portOption} ${stage.demo.ports.ssh} -o UserKnownHostsFile=known_hosts`
}

/** As far as a command that goes on: sign-in with a key, request, approval. */
export async function beginSsh(stage: Stage, terminal: Terminal): Promise<void> {
  await terminal.type(`ssh ${words(stage, '-p')} shell@web-1@localhost`)
  const { alice } = stage
  await openAs(stage, alice, await terminal.until(/(https:\S+\/s\/\S+)/), 'alice')
  await shoot(alice, 'ssh-sign-in')
  await alice.getByRole('button', { name: /let it in/i }).click()

  const reason = 'The shop answers 502 now and then; reading its log'
  await openAs(stage, alice, await terminal.until(/(https:\S+\/ask\S+)/), 'alice')
  await alice.locator('[name=reason]').fill(reason)
  await shoot(alice, 'ssh-ask')
  // The page was for the picture: who sits at the terminal answers there.
  await terminal.type(reason)
  await terminal.until(/How long\?/)
  await terminal.type('')
  await terminal.until(/Waiting for access/)
  await approveOnPhone(stage, 'web-1', 'ssh-approve')

  await terminal.until(/web-1:~/)
  await terminal.type('grep -c " 502 " shop/access.log')
  await terminal.until(/^\d+$/m)
  await terminal.type('tail -n 2 -f shop/access.log')
}

/** The menu, and files with another role: the key is known now. */
export async function lookAround(stage: Stage, menu: Terminal, files: Terminal): Promise<void> {
  await menu.type(`ssh ${words(stage, '-p')} localhost`)
  await menu.until(/q to quit:$/)
  await files.type(`sftp ${words(stage, '-P')} files@web-1@localhost`)
  await files.until(/Reason \(optional\):$/m)
  await files.type('New front page')
  await files.until(/How long\?/)
  await files.type('')
  for (const line of ['get shop/shop.conf', 'put shop.conf shop/shop.conf.old', 'mkdir shop/new', 'rm shop/index.html'])
    await transfer(files, line)
  await files.type('bye')
  await files.until(/bye\n\$$/)
}

async function transfer(files: Terminal, line: string): Promise<void> {
  await files.until(/sftp>$/)
  await files.type(line)
  await files.until(new RegExp(`sftp> ${line}[^]*sftp>$`))
}

export async function endSsh(terminal: Terminal, msMax: number): Promise<void> {
  await terminal.until(/Connection to localhost closed/, msMax)
}

/** What is left: the keys of alice, and both sessions as a reviewer sees them. */
export async function reviewSsh(stage: Stage): Promise<void> {
  await stage.alice.goto(new URL('/sign-ins', stage.demo.webUrl).href)
  await shoot(stage.alice, 'sign-ins')
  const sam = await pageOf(stage, 'sam', '/recordings', 1060)
  await openRecording(sam, 'web-1 as shell')
  await sam.locator('[data-replay] .ap-player').click()
  await sam.locator('[data-replay]', { hasText: 'tail -n 2' }).waitFor()
  // As somebody sees it who has pressed play: the whole player, no pointer on it.
  await sam.mouse.move(0, 0)
  await sam.evaluate('scrollTo(0, 0)')
  await shoot(sam, 'ssh-recording')
  await sam.setViewportSize({ width: 1120, height: 760 })
  await sam.goto(new URL('/recordings', stage.demo.webUrl).href)
  await openRecording(sam, 'web-1 as files')
  await sam.getByRole('heading', { name: 'Files', exact: true }).evaluate((heading) => heading.scrollIntoView())
  await shoot(sam, 'sftp-recording')
}
