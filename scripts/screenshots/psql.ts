import type { Terminal } from '../../test/clients/terminal.ts'
import { approveOnPhone, openAs, openRecording, pageOf, shoot, type Stage } from './stage.ts'

/** As far as a statement that goes on: sign-in, request, approval. */
export async function beginPsql(stage: Stage, terminal: Terminal): Promise<void> {
  const { ports } = stage.demo
  const words = `host=localhost port=${ports.postgres} user=readonly dbname=prod-db sslmode=verify-full sslrootcert=ca.pem`
  // Quiet: the greeting would name this machine's versions.
  await terminal.type(`psql -q "${words}"`)
  const { alice } = stage
  await openAs(stage, alice, await terminal.until(/(https:\S+\/s\/\S+)/), 'alice')
  await alice.getByRole('button', { name: /let it in/i }).click()

  await openAs(stage, alice, await terminal.until(/(https:\S+\/ask\S+)/), 'alice')
  await alice.locator('[name=reason]').fill('Customer 231 disputes an invoice; looking for what was sent')
  await alice.getByRole('button', { name: 'Ask', exact: true }).click()
  await approveOnPhone(stage, 'prod-db')

  await terminal.until(/prod-db=>/)
  const overdue = `select number, issued_on, due_on from invoices where status = 'overdue' and customer_id = 231;`
  await terminal.type(overdue)
  await terminal.until(/\(\d+ rows?\)/)
  await terminal.type('select pg_sleep(600);')
}

/** The cut. */
export async function endPsql(terminal: Terminal, msMax: number): Promise<void> {
  await terminal.until(/FATAL:/, msMax)
  // psql connects again by itself, and waits for the next approval.
  await terminal.until(/FATAL:[^]*goes on by itself once it is approved/)
}

/** The session and the log, as a reviewer sees them. */
export async function reviewPsql(stage: Stage): Promise<void> {
  const sam = await pageOf(stage, 'sam', '/recordings', 680)
  await shoot(sam, 'recordings')
  await openRecording(sam, 'prod-db as readonly')
  await shoot(sam, 'recording')
  await sam.goto(new URL('/audit', stage.demo.webUrl).href)
  await shoot(sam, 'audit')
}
