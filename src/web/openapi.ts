import * as z from 'zod'
import { version } from '../kernel/version.ts'
import * as schema from './api-schema.ts'
import type { Site } from './site.ts'

interface Call {
  readonly method: 'get' | 'post' | 'delete'
  /** Below `/api/v1`. */
  readonly path: string
  readonly summary: string
  readonly asks?: z.ZodType
  /** The body may be left out. */
  readonly mayBeEmpty?: true
  readonly query?: z.ZodObject
  readonly headers?: Readonly<Record<string, string>>
  /** By status; null: no body. */
  readonly answers: Readonly<Record<number, z.ZodType | null>>
  /** Without a token. */
  readonly isOpen?: true
}

const get = (path: string, summary: string, answer: z.ZodType, more: Partial<Call> = {}): Call => ({
  ...{ method: 'get', path, summary, answers: { 200: answer } },
  ...more,
})
const post = (
  path: string,
  summary: string,
  answers: Call['answers'],
  asks?: z.ZodType,
  more: Partial<Call> = {},
): Call => ({
  ...{ method: 'post', path, summary, answers },
  ...(asks === undefined ? {} : { asks }),
  ...more,
})
const remove = (path: string, summary: string): Call => ({ method: 'delete', path, summary, answers: { 204: null } })
const saying = { mayBeEmpty: true } as const

/** Every call of the API; a test compares them with the routes. */
export const apiCalls: readonly Call[] = [
  post('/login', 'Begin to log in by a page', { 201: schema.loginStarted }, schema.loginAsk, { isOpen: true }),
  post(
    '/login/poll',
    'Whether it was confirmed',
    { 200: schema.loginDone, 202: schema.loginWaiting },
    schema.loginPoll,
    { isOpen: true },
  ),
  post('/logout', 'End the token of this call', { 204: null }),
  get('/me', 'Who calls', schema.me),
  get('/tokens', 'Your tokens that still work', schema.tokenList),
  post('/tokens', 'Make a token', { 201: schema.tokenMade }, schema.tokenWish),
  remove('/tokens/{id}', 'Revoke a token, and end what came in by it'),
  get('/ssh', 'What ssh needs to reach the gateway', schema.sshDirectory),
  post('/ssh/certificate', 'A certificate for an SSH key', { 201: schema.sshCertificate }, schema.sshCertificateAsk),
  get('/audit', 'Audit events; for reviewers', schema.auditPage, { query: schema.auditQuery }),
  get('/audit/checkpoints', 'Signed heads of the audit log; for reviewers', schema.checkpointList),
  get('/keys', 'The keys that recordings are signed with', schema.keySet),
  get('/requests', 'Your requests, and those that wait for your word', schema.requestList),
  post('/requests', 'Ask for access', { 201: schema.request }, schema.requestWish, {
    headers: { 'Idempotency-Key': 'The same key within 24 hours is the same request.' },
  }),
  get('/requests/{id}', 'One request, with its decisions and its grant', schema.request),
  post('/requests/{id}/approve', 'Approve it', { 200: schema.request }, schema.comment, saying),
  post('/requests/{id}/deny', 'Refuse it', { 200: schema.request }, schema.comment, saying),
  post('/requests/{id}/cancel', 'Call your own off', { 200: schema.request }),
  get('/grants', 'Your access that lives', schema.grantList),
  post('/grants/{id}/end', 'Hand your access back, and end its sessions', { 204: null }),
  post(
    '/grants/{id}/revoke',
    'Revoke somebody’s access, and end its sessions; for operators and approvers',
    { 204: null },
    schema.comment,
    saying,
  ),
  get('/sessions', 'Live sessions', schema.sessionList, { query: schema.sessionQuery }),
  post('/sessions/{id}/end', 'End a live session', { 204: null }, schema.comment, saying),
  get('/locks', 'Locks; for operators', schema.lockList),
  post('/locks', 'Place a lock, and end what it stops; for operators', { 201: schema.lock }, schema.lockWish),
  remove('/locks/{id}', 'Lift a lock; for operators'),
  get('/openapi.json', 'This document', z.record(z.string(), z.unknown()), { isOpen: true }),
]

export function openApiRoute(site: Site): void {
  const document = JSON.stringify(openApi(site.deps.publicUrl))
  site.open('GET', `${schema.apiPath}/openapi.json`, (c) =>
    c.body(document, 200, { 'Content-Type': 'application/json' }),
  )
}

/** @see OpenAPI 3.1.1; its schemas are JSON Schema 2020-12 */
export function openApi(publicUrl: URL): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const call of apiCalls) (paths[call.path] ??= {})[call.method] = operation(call)
  return {
    openapi: '3.1.1',
    info: { title: 'Curfew', version: version(), summary: 'The API of an identity-aware access gateway' },
    servers: [{ url: new URL(schema.apiPath, publicUrl).href }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'A token of `curfew login`.' } },
      schemas: { problem: shapeOf(schema.problem, 'output') },
    },
  }
}

function operation({ path, summary, asks, mayBeEmpty, answers, isOpen, ...call }: Call): object {
  const parameters = [...pathParameters(path), ...queryParameters(call.query), ...headerParameters(call.headers)]
  const responses = Object.entries(answers).map(([status, shape]) => [
    status,
    {
      description: statusWords[status] ?? 'Done',
      ...(shape === null ? {} : { content: json(shapeOf(shape, 'output')) }),
    },
  ])
  return {
    summary,
    ...(isOpen === true ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(asks === undefined
      ? {}
      : { requestBody: { required: mayBeEmpty !== true, content: json(shapeOf(asks, 'input')) } }),
    responses: { ...Object.fromEntries(responses), default: problemAnswer },
  }
}

const statusWords: Readonly<Record<string, string>> = { 200: 'Done', 201: 'Made', 202: 'Not yet', 204: 'Done' }

const problemAnswer = {
  description: 'Why not (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/problem' } } },
}

function json(shape: object): object {
  return { 'application/json': { schema: shape } }
}

function shapeOf(shape: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(shape, { io })
  return rest
}

function pathParameters(path: string): object[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }))
}

function queryParameters(query: z.ZodObject | undefined): object[] {
  return Object.entries(query?.shape ?? {}).map(([name, shape]) => ({
    ...{ name, in: 'query', schema: shapeOf(shape as z.ZodType, 'output') },
  }))
}

function headerParameters(headers: Call['headers'] = {}): object[] {
  return Object.entries(headers).map(([name, description]) => ({
    ...{ name, in: 'header', description, schema: { type: 'string' } },
  }))
}
