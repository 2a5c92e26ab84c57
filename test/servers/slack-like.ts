/**
 * Behaves as Slack documents its Web API (chat.postMessage, chat.update, users.lookupByEmail, conversations.open): there
 * is no real one to be had in a test.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

// oxlint-disable-next-line typescript/no-explicit-any -- bodies of requests
type Fields = any

export interface Posted {
  readonly channel: string
  readonly ts: string
  text: string
  /** All literal text of the blocks. */
  shown: string
  blocks: unknown
  readonly links: string[]
  buttons: Fields[]
  updates: number
  readonly metadata: unknown
}

export interface Answered {
  readonly to: string
  readonly text: string
  readonly response_type: string
  readonly replace_original: boolean
}

export interface SlackLike extends AsyncDisposable {
  readonly apiUrl: string
  readonly token: string
  readonly posted: readonly Posted[]
  readonly calls: readonly string[]
  /** The workspace. */
  readonly team: string
  readonly signingSecret: string
  /** What presses were answered with, seen by whoever pressed only. */
  readonly answers: readonly Answered[]
  /** What users.info says of a user beside the usual. */
  odd: Record<string, Record<string, unknown>>
  untilAnswered(to: string): Promise<Answered>
  /** The next calls are answered 429 with this Retry-After, once for each. */
  rateLimits: number[]
  /** The next change of a message in that channel is done, and answered, only then. */
  held: { readonly channel: string; readonly until: Promise<unknown> } | undefined
  until(wanted: (message: Posted) => boolean): Promise<Posted>
}

const team = 'T0SHOP'

export async function startSlackLike(
  members: Readonly<Record<string, string>>,
  channels: readonly string[],
): Promise<SlackLike> {
  const token = 'xoxb-a-token-for-tests-only'
  const posted: Posted[] = []
  const calls: string[] = []
  const answers: Answered[] = []
  let clock = 1_700_000_000
  const methods: Readonly<Record<string, (fields: Fields) => Record<string, unknown>>> = {
    'chat.postMessage'({ channel, text, blocks, metadata }) {
      const id = channels.includes(channel) ? `C${channels.indexOf(channel)}` : channel
      if (!/^[CD][A-Z0-9]+$/.test(id)) return { ok: false, error: 'channel_not_found' }
      const ts = `${(clock += 1)}.000100`
      posted.push({ channel: id, ts, text, blocks, ...read(blocks), updates: 0, metadata })
      return { ok: true, channel: id, ts }
    },
    'chat.update'({ channel, ts, text, blocks }) {
      const found = posted.find((one) => one.channel === channel && one.ts === ts)
      if (found === undefined) return { ok: false, error: 'message_not_found' }
      Object.assign(found, { text, blocks, ...read(blocks), updates: found.updates + 1 })
      return { ok: true, channel, ts, text }
    },
    'users.lookupByEmail'({ email }) {
      return Object.hasOwn(members, email)
        ? { ok: true, user: { id: members[email] } }
        : { ok: false, error: 'users_not_found' }
    },
    'users.info'({ user }) {
      const email = Object.keys(members).find((one) => members[one] === user)
      if (email === undefined) return { ok: false, error: 'user_not_found' }
      return {
        ok: true,
        user: { id: user, team_id: team, deleted: false, is_bot: false, profile: { email }, ...slack.odd[user] },
      }
    },
    'conversations.open': ({ users }) => ({ ok: true, channel: { id: `D${users}` } }),
  }
  const server = createServer((request, response) => void answer(request, response))
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const method = (request.url ?? '').replace('/api/', '')
    if (method.startsWith('/answers/')) {
      answers.push({ to: method, ...JSON.parse(Buffer.concat(chunks).toString()) })
      return void response.end('ok')
    }
    calls.push(method)
    const limit = slack.rateLimits.shift()
    if (limit !== undefined) return void response.writeHead(429, { 'retry-after': String(limit) }).end()
    response.setHeader('content-type', 'application/json; charset=utf-8')
    const body = Buffer.concat(chunks).toString()
    const json = (request.headers['content-type'] ?? '').startsWith('application/json')
    if (request.headers.authorization !== `Bearer ${token}`)
      return void response.end('{"ok":false,"error":"invalid_auth"}')
    if (json && method.startsWith('users.')) return void response.end('{"ok":false,"error":"invalid_arguments"}')
    const fields: Fields = json ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body))
    const { held } = slack
    if (method === 'chat.update' && held?.channel === fields.channel) {
      slack.held = undefined
      await held?.until
    }
    response.end(JSON.stringify(methods[method]?.(fields) ?? { ok: false, error: 'unknown_method' }))
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const slack: SlackLike = {
    ...{
      token,
      posted,
      calls,
      answers,
      team,
      odd: {},
      signingSecret: 'a-signing-secret-for-tests-only',
      rateLimits: [],
      held: undefined,
    },
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/`,
    async untilAnswered(to) {
      for (;;) {
        const found = answers.find((one) => one.to === to)
        if (found !== undefined) return found
        await sleep(10)
      }
    },
    async until(wanted) {
      for (;;) {
        const found = posted.find(wanted)
        if (found !== undefined) return found
        await sleep(10)
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
  return slack
}

function read(blocks: Fields): { shown: string; links: string[]; buttons: Fields[] } {
  const rich = blocks.filter(({ type }: Fields) => type === 'rich_text')
  const elements: Fields[] = rich.flatMap((block: Fields) => block.elements.flatMap((one: Fields) => one.elements))
  return {
    shown: elements.map(({ text }) => text).join(''),
    links: elements.filter(({ type }) => type === 'link').map(({ url }) => url),
    buttons: blocks.filter(({ type }: Fields) => type === 'actions').flatMap((block: Fields) => block.elements),
  }
}
