import * as z from 'zod'
import { version } from '../kernel/version.ts'
import type { NeededScope } from './api-call.ts'
import * as schema from './api-schema.ts'
import type { Site } from './site.ts'

const schemeWords = 'A token of `curfew login`, or of `curfew token create` with the scope that the operation names.'

interface Call {
  readonly method: 'get' | 'post' | 'delete'
  /** Below `/api/v1`. */
  readonly path: string
  /** What the token must be good for, as the route says it to `caller`; a test compares them. Null: without a token. */
  readonly scope: NeededScope | null
  readonly summary: string
  readonly asks?: z.ZodType
  /** The body may be left out. */
  readonly mayBeEmpty?: true
  readonly query?: z.ZodObject
  readonly headers?: Readonly<Record<string, string>>
  /** The type of a body that is no JSON. */
  readonly file?: string
  /** By status; null: no body. */
  readonly answers: Readonly<Record<number, z.ZodType | null>>
}

type Needed = Call['scope']
const get = (path: string, scope: Needed, summary: string, answer: z.ZodType, more: Partial<Call> = {}): Call => ({
  ...{ method: 'get', path, scope, summary, answers: { 200: answer } },
  ...more,
})
const post = (
  path: string,
  scope: Needed,
  summary: string,
  answers: Call['answers'],
  asks?: z.ZodType,
  more: Partial<Call> = {},
): Call => ({
  ...{ method: 'post', path, scope, summary, answers },
  ...(asks === undefined ? {} : { asks }),
  ...more,
})
const keyed = {
  headers: { 'Idempotency-Key': 'The same key within 24 hours is the same request: nothing is done twice.' },
}
const remove = (path: string, scope: Needed, summary: string): Call => ({
  ...{ method: 'delete', path, scope, summary, answers: { 204: null } },
})
const evidence = (path: string, summary: string): Call => ({
  ...{ method: 'get', path, scope: 'evidence:read', summary, file: 'application/x-tar', answers: { 200: null } },
  query: schema.evidenceQuery,
})
const saying = { mayBeEmpty: true } as const

/** Every call of the API; a test compares them with the routes. */
export const apiCalls: readonly Call[] = [
  post('/login', null, 'Begin to log in by a page', { 201: schema.loginStarted }, schema.loginAsk),
  post(
    '/login/poll',
    null,
    'Whether it was confirmed',
    { 200: schema.loginDone, 202: schema.loginWaiting },
    schema.loginPoll,
  ),
  post('/logout', 'any', 'End the token of this call', { 204: null }),
  get('/me', 'any', 'Who calls', schema.me),
  get('/tokens', 'tokens', 'Your tokens that still work', schema.tokenList),
  post('/tokens', 'tokens', 'Make a token', { 201: schema.tokenMade }, schema.tokenWish),
  remove('/tokens/{id}', 'tokens', 'Revoke a token, and end what came in by it'),
  get('/postgres', 'sessions', 'What PostgreSQL clients need to reach the gateway', schema.postgresDirectory),
  post(
    '/postgres/certificate',
    'sessions',
    'A client certificate for PostgreSQL',
    { 201: schema.clientCertificate },
    schema.clientCertificateAsk,
  ),
  get('/ssh', 'sessions', 'What ssh needs to reach the gateway', schema.sshDirectory),
  post(
    '/ssh/certificate',
    'sessions',
    'A certificate for an SSH key',
    { 201: schema.sshCertificate },
    schema.sshCertificateAsk,
  ),
  get('/audit', 'audit:read', 'Audit events; for reviewers', schema.auditPage, { query: schema.auditQuery }),
  get('/audit/checkpoints', 'audit:read', 'Signed heads of the audit log; for reviewers', schema.checkpointList),
  get('/keys', 'any', 'The keys that recordings are signed with', schema.keySet),
  get('/requests', 'requests:read', 'Your requests, and those that wait for your word', schema.requestList),
  post(
    '/requests',
    'requests:write',
    'Ask for access, or for all that is in a bundle',
    { 201: z.union([schema.request, schema.requestBundle]) },
    z.union([schema.requestWish, schema.bundleWish]),
    keyed,
  ),
  get('/requests/{id}', 'requests:read', 'One request, with its decisions and its grant', schema.request),
  post(
    '/requests/{id}/approve',
    'decide',
    'Approve it, or less of it',
    { 200: schema.request },
    schema.approving,
    saying,
  ),
  post('/requests/{id}/deny', 'decide', 'Refuse it', { 200: schema.request }, schema.comment, saying),
  post('/requests/{id}/cancel', 'requests:write', 'Call your own off', { 200: schema.request }),
  get('/reviews', 'requests:read', 'Emergencies that are or were reviewed; for reviewers', schema.reviewList),
  get('/reviews/{id}', 'requests:read', 'One emergency, with its sessions', schema.review),
  post('/reviews/{id}/close', 'decide', 'Close a review, once', { 200: schema.review }, schema.reviewClosing),
  get(
    '/statements',
    'requests:read',
    'Statements that wait for your word, and the last that did',
    schema.statementList,
  ),
  get('/statements/{id}', 'requests:read', 'One statement that a guard asks about', schema.statement),
  post('/statements/{id}/decide', 'decide', 'Let it run or not, once', { 200: schema.statement }, schema.statementWord),
  get('/campaigns', 'reports:read', 'Reviews of standing access; for operators and reviewers', schema.campaignList),
  post(
    '/campaigns',
    'decide',
    'Begin one; for operators and reviewers',
    { 201: schema.campaignView },
    schema.campaignWish,
    keyed,
  ),
  get('/campaigns/{id}', 'reports:read', 'One with its entries: its report', schema.campaignView, {
    query: schema.campaignQuery,
  }),
  post(
    '/campaigns/{id}/entries/{entry}/confirm',
    'decide',
    'Confirm what somebody else has',
    { 200: schema.campaignView },
    schema.entryConfirming,
  ),
  post(
    '/campaigns/{id}/entries/{entry}/end',
    'decide',
    'End what somebody else has',
    { 200: schema.campaignView },
    schema.comment,
    saying,
  ),
  get('/grants', 'requests:read', 'Your access that lives', schema.grantList),
  post(
    '/grants/{id}/extend',
    'requests:write',
    'Ask for more time; its sessions live on',
    { 201: schema.request },
    schema.extensionWish,
    keyed,
  ),
  get('/bundles', 'requests:read', 'What you may ask for together', schema.bundleList),
  post('/grants/{id}/end', 'grants:write', 'Hand your access back, and end its sessions', { 204: null }),
  post(
    '/grants/{id}/revoke',
    'grants:write',
    'Revoke somebody’s access, and end its sessions; for operators and approvers',
    { 204: null },
    schema.comment,
    saying,
  ),
  get('/sessions', 'sessions:read', 'Live sessions', schema.sessionList, { query: schema.sessionQuery }),
  post('/sessions/{id}/end', 'sessions:end', 'End a live session', { 204: null }, schema.comment, saying),
  get('/locks', 'locks', 'Locks; for operators', schema.lockList),
  post(
    '/locks',
    'locks',
    'Place a lock, and end what it stops; for operators',
    { 201: schema.lock },
    schema.lockWish,
    keyed,
  ),
  remove('/locks/{id}', 'locks', 'Lift a lock; for operators'),
  evidence('/requests/{id}/evidence', 'A request’s story in an archive, with signatures; for reviewers and operators'),
  evidence('/grants/{id}/evidence', 'The same for a grant'),
  get('/reports', 'reports:read', 'What reports there are; for reviewers and operators', schema.reportList),
  get('/reports/{name}', 'reports:read', 'One report; for reviewers and operators', schema.report, {
    query: schema.reportQuery,
  }),
  post(
    '/policies/dry-run',
    'reports:read',
    'What other policies would have said to what was asked for; for operators',
    { 200: schema.dryRun },
    schema.dryRunWish,
  ),
  get(
    '/notifications',
    'notifications',
    'What waits, and what did not get through; for operators',
    schema.notificationList,
  ),
  post('/notifications/test', 'notifications', 'Send a test message', { 204: null }, schema.receiverWish),
  post(
    '/notifications/switch-on',
    'notifications',
    'Send to a webhook again that had said it wants no more',
    { 204: null },
    schema.switchOnWish,
  ),
  get('/openapi.json', null, 'This document', z.record(z.string(), z.unknown())),
]

export function openApiRoute(site: Site): void {
  const document = JSON.stringify(openApi(site.deps.publicUrl))
  site.open('GET', `${schema.apiPath}/openapi.json`, (c) =>
    c.body(document, 200, { 'Content-Type': 'application/json' }),
  )
}

/** The scope that an operation needs stands in its `security`. @see OpenAPI 3.1.1, "Security Requirement Object"; its schemas are JSON Schema 2020-12 */
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
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: schemeWords } },
      schemas: { problem: shapeOf(schema.problem, 'output') },
    },
  }
}

function operation({ path, scope, summary, asks, mayBeEmpty, answers, ...call }: Call): object {
  const parameters = [...pathParameters(path), ...queryParameters(call.query), ...headerParameters(call.headers)]
  const responses = Object.entries(answers).map(([status, shape]) => [
    status,
    {
      description: statusWords[status] ?? 'Done',
      ...(shape === null ? {} : { content: json(shapeOf(shape, 'output')) }),
      ...(call.file !== undefined && { content: { [call.file]: {} } }),
    },
  ])
  return {
    summary,
    security: scope === null ? [] : [{ token: scope === 'any' ? [] : [scope] }],
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
