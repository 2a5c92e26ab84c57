import type { Page } from 'playwright-core'
import type { Terminal } from '../../test/clients/terminal.ts'
import { approveOnPhone, openAs, pageOf, phone, shoot, type Stage } from './stage.ts'

/** Something that the approver can look back at, for when these pictures are made alone. */
export async function readOnce(stage: Stage, terminal: Terminal): Promise<void> {
  const { alice, demo } = stage
  const words = `host=localhost port=${demo.ports.postgres} user=readonly dbname=prod-db sslmode=verify-full sslrootcert=ca.pem`
  await terminal.type(`psql -q "${words}"`)
  await openAs(stage, alice, await terminal.until(/(https:\S+\/s\/\S+)/), 'alice')
  await alice.getByRole('button', { name: /let it in/i }).click()
  await openAs(stage, alice, await terminal.until(/(https:\S+\/ask\S+)/), 'alice')
  await alice.locator('[name=reason]').fill('Which invoices are overdue?')
  await alice.getByRole('button', { name: 'Ask', exact: true }).click()
  await approveOnPhone(stage, 'prod-db')
  await terminal.until(/prod-db=>/)
  for (const line of ['select count(*) from invoices;', `select number from invoices where status = 'overdue';`]) {
    await terminal.type(line)
    await terminal.until(/\(\d+ rows?\)\n[^]*prod-db=>$/)
  }
  await terminal.type('\\q')
  await terminal.until(/\n\$$/)
}

/** Two people must agree: the first on a telephone, who shortens it; the second at a desk, in the dark. */
export async function approveInTwo(stage: Stage): Promise<void> {
  const { alice, demo } = stage
  await openAs(stage, alice, new URL('/ask?resource=prod-db&role=admin', demo.webUrl).href, 'alice')
  await alice.getByLabel('How long').selectOption({ label: '15 min' })
  await alice.locator('[name=reason]').fill('Repair the two invoices that block the nightly run')
  await alice.locator('[name=ticket]').fill('SHOP-231')
  await alice.getByRole('button', { name: 'Ask', exact: true }).click()
  await alice.waitForURL(/\/requests\//)
  const link = alice.url()
  const bob = await stage.browser.page(phone)
  await openAs(stage, bob, link, 'bob')
  await bob.getByRole('button', { name: 'Approve' }).waitFor()
  await shoot(bob, 'approve')
  await bob.getByText('Change before you approve').click()
  await bob.getByLabel('Comment').fill('Five minutes are enough for two rows')
  await bob.getByLabel('Shorten to').selectOption({ label: '5 min' })
  await bob.getByLabel('Comment').evaluate((field) => field.scrollIntoView({ block: 'start' }))
  await bob.evaluate('scrollBy(0, -48)')
  await shoot(bob, 'approve-change')
  await bob.getByRole('button', { name: 'Approve' }).click()
  await bob.getByText('You approved').waitFor()
  const olga = await pageOf(stage, 'olga', new URL(link).pathname, 860)
  await olga.emulateMedia({ colorScheme: 'dark' })
  await shoot(olga, 'approve-second')
  await olga.getByRole('button', { name: 'Approve' }).click()
  await olga.getByText('Approved by').waitFor()
  await showOutcome(bob)
}

async function showOutcome(page: Page): Promise<void> {
  await page.getByText('Approved by you').waitFor()
  await page.evaluate('scrollTo(0, 0)')
  await shoot(page, 'approve-done')
}
