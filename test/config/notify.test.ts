import { afterAll, beforeAll, expect, test } from 'vitest'
import { environment, goodConfig, makeConfigFolder, type ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const env = {
  ...environment,
  SMTP_PASSWORD: 'smtp-hunter2',
  SLACK: 'xoxb-hunter2',
  HOOK: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
  SHORT: 'whsec_c2hvcnQ=',
}

const whole = `${goodConfig}notify:
  giveUpAfter: 2d
  requester: { events: [request.approved, grant.ending] }
  security: { mail: [soc@example.com], slack: '#security' }
  groups:
    approvers: { mail: [approvers@example.com], slack: C0123456789 }
  routes:
    - { labels: { env: production }, slack: '#production' }
  mail: { host: smtp.example.com, user: curfew, password: env:SMTP_PASSWORD, from: curfew@example.com, ca: ca.pem }
  slack: { token: env:SLACK, channel: '#access', directMessages: true }
  webhooks:
    - { name: siem, url: 'https://siem.example.com/in?key=1', secrets: [env:HOOK, env:HOOK], events: [lock.placed] }
`

test('everything that can be said is read, and secrets do not show', async () => {
  const { config } = await folder.check(whole, env)
  expect(config.notify).toMatchObject({
    ...{ giveUpMs: 172_800_000, endingMs: 900_000, includeReason: true },
    requester: { events: ['request.approved', 'grant.ending'] },
    security: {
      mail: ['soc@example.com'],
      slack: '#security',
      events: ['grant.revoked', 'review.waiting', 'review.closed', 'campaign.finished', 'lock.placed', 'lock.lifted'],
    },
    groups: { approvers: { mail: ['approvers@example.com'], slack: 'C0123456789' } },
    routes: [{ policies: null, resources: null, labels: { env: 'production' }, mail: [], slack: '#production' }],
    mail: { host: 'smtp.example.com', port: 587, tls: 'starttls', login: { user: 'curfew' }, deciders: true },
    slack: { channel: '#access', directMessages: true },
    webhooks: [{ name: 'siem', ca: null, events: ['lock.placed'] }],
  })
  expect(config.notify?.slack?.apiUrl.href).toBe('https://slack.com/api/')
  expect(config.notify?.webhooks[0]?.secrets).toHaveLength(2)
  expect(JSON.stringify(config.notify)).not.toMatch(/hunter2|whsec_/)
})

test('without it nobody is told anything', async () => {
  expect((await folder.check(goodConfig)).config.notify).toBeNull()
})

test.each([
  ["url: 'https://siem.example.com/in?key=1'", 'url: http://siem.example.com/', 'begins with https://'],
  ["url: 'https://siem.example.com/in?key=1'", 'url: https://a:b@siem.example.com/', 'without a user and password'],
  ['[env:HOOK, env:HOOK]', '[env:SHORT]', '24 to 64 bytes'],
  ['[env:HOOK, env:HOOK]', '[env:SMTP_PASSWORD]', '24 to 64 bytes'],
  ['[env:HOOK, env:HOOK]', '[whsec_AAAA]', 'secrets are never written here'],
  ['events: [lock.placed]', 'events: [lock.broken]', 'webhooks[0].events[0]'],
  ['user: curfew, password: env:SMTP_PASSWORD', 'user: curfew', 'go together'],
  ['user: curfew, password', 'tls: none, user: curfew, password', 'readable to smtp.example.com'],
  ['from: curfew@example.com', "from: 'Curfew <curfew@example.com>'", 'a mail address such as'],
  ['mail: [soc@example.com]', "mail: ['soc@example.com, eve@evil.example']", 'a mail address such as'],
  ["slack: '#production'", "slack: '<!channel>'", 'a channel such as'],
  ['labels: { env: production }, slack', 'resources: [nothing], slack', 'no resource called "nothing"'],
  ['labels: { env: production }, slack', 'policies: [nothing], slack', 'no policy called "nothing"'],
  [
    'slack: { token: env:SLACK, ',
    'slack: { apiUrl: http://slack.example.com/, token: env:SLACK, ',
    'begins with https://',
  ],
  ["  slack: { token: env:SLACK, channel: '#access', directMessages: true }\n", '', 'there is no `notify.slack`'],
])('%s as %s is a problem', async (good, bad, said) => {
  expect(whole).toContain(good)
  const problems = await folder.problems(whole.replace(good, bad), env)
  expect(problems.join('\n')).toContain(said)
  expect(problems.join('\n')).not.toMatch(/hunter2|whsec_c2/)
})

test('two webhooks have two names', async () => {
  const twice = `${whole}    - { name: siem, url: 'https://b.example.com', secrets: [env:HOOK] }\n`
  expect((await folder.problems(twice, env)).join()).toContain('another webhook called siem')
})

test('plain http and plain SMTP are for this machine', async () => {
  const local = whole
    .replace("'https://siem.example.com/in?key=1'", 'http://127.0.0.1:9/in')
    .replace('host: smtp.example.com', 'tls: none, host: localhost')
  expect((await folder.check(local, env)).config.notify?.mail?.tls).toBe('none')
})

test('buttons need the signing secret and the workspace', async () => {
  const slack = "slack: { token: env:SLACK, channel: '#access', directMessages: true }"
  const buttons = (more: string) => whole.replace(slack, `slack: { token: env:SLACK, buttons: true${more} }`)
  const signed = { ...env, SIGNING: 'hunter2-signing' }
  expect((await folder.check(whole, env)).config.notify?.slack?.buttons).toBeNull()
  for (const more of ['', ', signingSecret: env:SIGNING', ', team: T0SHOP']) {
    const problems = await folder.problems(buttons(more), signed)
    expect(problems.join('\n')).toContain('`buttons` need `signingSecret` and `team`')
  }
  const problems = await folder.problems(buttons(', signingSecret: env:SIGNING, team: shop'), signed)
  expect(problems.join('\n')).toContain('the id of a workspace')
  const { config } = await folder.check(buttons(', signingSecret: env:SIGNING, team: T0SHOP'), signed)
  expect(config.notify?.slack?.buttons).toMatchObject({ team: 'T0SHOP' })
  expect(JSON.stringify(config.notify)).not.toContain('hunter2')
})

// Goal: a secret that somebody typed into the file does not go on into terminals and logs.
test('secrets in place of references are not repeated', async () => {
  const typed = whole
    .replace('env:SLACK', 'xoxb-hunter2, signingSecret: hunter2')
    .replace('[env:HOOK, env:HOOK]', '[whsec_hunter2, 4711]')
  const problems = await folder.problems(typed, env)
  expect(problems).toHaveLength(4)
  for (const problem of problems) expect(problem).toMatch(/expected a reference, env:NAME.*, got something else$/)
})
