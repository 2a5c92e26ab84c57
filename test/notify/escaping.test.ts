// Goal: nothing that people write becomes a header, markup, a mention or a link. Method: anything at all as every text of
// theirs; what comes out is read by a mail parser, and by what Slack documents.
import fc from 'fast-check'
import { simpleParser } from 'mailparser'
import { createTransport } from 'nodemailer'
import { expect, test } from 'vitest'
import type { QueuedMessage } from '../../src/access/outbox.ts'
import type { NoticeFacts, RequestFacts } from '../../src/notify/facts.ts'
import { composeMail, escapeHtml } from '../../src/notify/mail-text.ts'
import { oneLine } from '../../src/notify/outcome.ts'
import { readAddress } from '../../src/notify/recipients.ts'
import { escapeSlack, slackText } from '../../src/notify/slack-text.ts'
import { wordingOf } from '../../src/notify/words.ts'

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[<>&"'*_~`|:@#!\r\n\u2028\u202e a-c]{0,40}$/),
  fc.constantFrom(
    'x\r\nBcc: eve@evil.example\r\n\r\nbody',
    '=?utf-8?B?QmNjOiBldmU=?=',
    '<!channel> <@U123> <https://evil.example|click>',
    '</td><script>alert(1)</script><a href="https://evil.example">Decide</a>',
    'https://evil.example/requests/1',
  ),
)

function termsOf([, , , , name = '']: readonly string[]): RequestFacts['decisions'][number]['terms'] {
  return { lengthSeconds: 30, startsAt: null, role: name, databases: [name], networks: null }
}

function factsWith(words: readonly string[]): NoticeFacts {
  const [name = '', reason = '', ticket = '', comment = '', resource = ''] = words
  const person = { id: 'person-x', name, email: null } as const
  const at = '2026-11-22T10:00:00.000Z'
  const request: RequestFacts = {
    ...{
      id: 'request-x',
      link: 'https://gw.example.com/requests/request-x',
      state: 'requested',
      resource,
      role: 'admin',
    },
    ...{ requester: person, lengthSeconds: 60, reason, ticket, policy: 'p', origin: '', askedAt: at, startsAt: null },
    ...{
      lapsesAt: at,
      closedAt: null,
      decisions: [{ by: person, verdict: 'approve', step: 1, terms: termsOf(words), comment, at }],
    },
    waitsFor: { step: 1, steps: 2, who: resource, missing: 1, since: at, escalation: null },
    risk: {
      score: 20,
      level: 'low',
      factors: [{ code: 'first-time', label: `First time on ${resource}`, weight: 20 }],
    },
    ...{ kind: 'access', hours: null, bundle: resource },
  }
  return { request }
}

function queuedWith(words: readonly string[]): QueuedMessage {
  const at = 0 as QueuedMessage['notice']['at']
  return {
    notice: { id: 'notice-1', type: 'request.opened', at, subject: 'request-x', data: { ...factsWith(words) } },
    message: {
      ...{ id: 'message-x', notice: 'notice-1', channel: 'mail', recipient: 'bob@shop.example', audience: 'deciders' },
      ...{ state: 'waiting', readyAt: at, dueAt: at, attempts: 0, problem: null, settledAt: null, reference: null },
    },
  }
}

const allWords = fc.array(nasty, { minLength: 5, maxLength: 5 })
const headers = [
  ...['auto-submitted', 'content-type', 'date', 'from', 'message-id', 'mime-version', 'subject', 'to'],
  'x-auto-response-suppress',
]

test('mail: the headers are ours, whatever people write; the HTML has our one link and our elements only', async () => {
  const transport = createTransport({ streamTransport: true, buffer: true })
  const settings = { from: 'curfew@shop.example', replyTo: null }
  await fc.assert(
    fc.asyncProperty(allWords, async (words) => {
      const composed = composeMail(queuedWith(words), settings, 'gw.example.com')
      const { message } = await transport.sendMail(composed)
      const mail = await simpleParser(message)
      expect([...mail.headers.keys()].toSorted()).toEqual(headers)
      expect(mail.to).toMatchObject({ text: 'bob@shop.example' })
      expect(mail.html).toBe((composed.html as string).replaceAll('\r\n', '\n'))
      const html = composed.html as string
      expect([...html.matchAll(/<([a-z0-9]+)/gi)].map((match) => match[1]).filter((name) => !known.has(name!))).toEqual(
        [],
      )
      expect([...html.matchAll(/href="([^"]*)"/g)].map((match) => match[1])).toEqual([factsWith([]).request!.link])
      for (const line of (composed.text as string).split('\n')) expect(line).not.toMatch(/[\r\v\f\u2028\u2029\u0085]/)
    }),
    { numRuns: 60 },
  )
})
const known = new Set(['html', 'body', 'h1', 'table', 'tr', 'td', 'p', 'blockquote', 'br', 'a'])

test('Slack: what people write is literal text, and the only link is ours', () => {
  fc.assert(
    fc.property(allWords, (words) => {
      const { text, blocks } = slackText(wordingOf('request.opened', factsWith(words), 'deciders'))
      expect(text).not.toMatch(/[<>\n\r]/)
      const sections = blocks.flatMap((block) => (block.type === 'rich_text' ? block.elements : []))
      const elements = sections.flatMap((section) => section.elements)
      expect(new Set(elements.map(({ type }) => type))).toEqual(new Set(['text', 'link']))
      const links = elements.filter((one) => one.type === 'link')
      expect(links).toEqual([{ type: 'link', url: factsWith([]).request!.link, text: 'Look at it and decide' }])
      for (const element of elements) expect(element.text).not.toBe('')
    }),
  )
})

test('risk is told to those who decide and to the security channel, not to whoever asked', () => {
  const lines = (audience: QueuedMessage['message']['audience']) =>
    wordingOf('request.opened', factsWith(['', '', '', '', 'prod-db']), audience).lines.filter(([label]) =>
      /Risk|\+/.test(label),
    )
  const told = [
    ['Risk', 'low, 20 of 100'],
    ['+20', 'First time on prod-db'],
  ]
  expect([lines('deciders'), lines('security'), lines('requester')]).toEqual([told, told, []])
})

test('escaping loses nothing', () => {
  const plain = (text: string) =>
    text
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&#39;', "'")
      .replaceAll('&amp;', '&')
  fc.assert(
    fc.property(nasty, (text) => {
      expect(plain(escapeHtml(text))).toBe(text)
      expect(escapeHtml(text)).not.toMatch(/[<>"']/)
      expect(plain(escapeSlack(text.replaceAll(/&(quot|#39);/g, '')))).toBe(text.replaceAll(/&(quot|#39);/g, ''))
    }),
  )
})

test('one line is one line, and as long as asked at most', () => {
  fc.assert(
    fc.property(nasty, fc.integer({ min: 1, max: 30 }), (text, charsMax) => {
      const line = oneLine(text, charsMax)
      expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e]/u)
      expect(Array.from(line).length).toBeLessThanOrEqual(charsMax)
    }),
  )
})

test.each([
  ['bob@shop.example', 'bob@shop.example'],
  [' Bob.O@Shop.Example ', 'bob.o@shop.example'],
  ['jörg@büro.example', 'jörg@büro.example'],
  ['bob@shop.example, eve@evil.example', undefined],
  ['"x" <eve@evil.example>', undefined],
  ['a@b@c', undefined],
  ['bob@shop.example\r\nRCPT TO:<eve@evil.example>', undefined],
  ['<bob@shop.example>', undefined],
  ['@shop.example', undefined],
  ['', undefined],
])('the address %j is read as %j', (text, address) => {
  expect(readAddress(text)).toBe(address)
})
