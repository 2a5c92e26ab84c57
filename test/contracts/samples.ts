import { auditEvent, theGateway, type AuditEvent } from '../../src/audit/event.ts'
import type { Active, Approved, Decision, Grant, Lock, Request, Requested } from '../../src/access/states.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Binding, BrowserSession, SignIn, Token } from '../../src/identity/store.ts'
import type { PersonId, RequestId } from '../../src/kernel/ids.ts'
import type { Instant } from '../../src/kernel/time.ts'
import type { Session, SessionEnd } from '../../src/sessions/session.ts'
import type { State } from '../../src/store/state.ts'
import { systemRandom as random } from '../../src/system.ts'
import { stepOf } from '../../src/policy/approval.ts'

// Whole values of every kind that the state holds. Times are small numbers, so that tests can be read.

export const at = (instant: number): Instant => instant as Instant

export function somePerson(over: Partial<Person> = {}): Person {
  const id = over.id ?? random.id('person')
  return {
    id,
    issuer: 'https://login.example.com',
    subject: `subject of ${id}`,
    email: `${id}@example.com`,
    name: null,
    groups: ['engineers', 'Größe "XL"'],
    seenAt: at(1000),
    ...over,
  }
}

/** What most requests do not have. */
export const plainRequest = {
  kind: 'access',
  askedBy: null,
  extends: null,
  bundle: null,
  recurrence: null,
  risk: null,
  step: 0,
  escalatedAt: null,
} as const

/** What most grants do not have. */
export const plainGrant = {
  clock: 'start',
  uses: 'many',
  firstUsedAt: null,
  useBy: null,
  windows: null,
  databases: null,
  networks: null,
} as const

export function someRequest(person: PersonId, over: Partial<Requested> = {}): Requested {
  return {
    state: 'requested',
    id: random.id('request'),
    person,
    resource: 'prod-db',
    role: 'readonly',
    lengthMs: 3_600_000,
    reason: 'A customer waits; INC-7 ✓',
    ticket: 'INC-7',
    startsAt: null,
    policy: 'engineers read',
    approval: { kind: 'people', steps: [stepOf(1, ['approvers'])] },
    origin: 'psql at 203.0.113.9',
    askedAt: at(2000),
    lapsesAt: at(90_000),
    ...plainRequest,
    stepSince: at(2000),
    ...over,
  }
}

export function someDecision(request: RequestId, person: PersonId, over: Partial<Decision> = {}): Decision {
  return {
    id: random.id('decision'),
    request,
    person,
    verdict: 'approve',
    step: 0,
    terms: null,
    comment: 'Go on.',
    at: at(3000),
    ...over,
  }
}

export function approved(request: Requested): Approved {
  return { ...request, state: 'approved', closedAt: at(3000) }
}

export function someGrant(request: Request, over: Partial<Active> = {}): Active {
  const { id, person, resource, role, policy } = request
  return {
    state: 'active',
    id: random.id('grant'),
    request: id,
    person,
    resource,
    role,
    policy,
    startsAt: at(3000),
    expiresAt: at(3_603_000),
    lengthMs: 3_600_000,
    ...plainGrant,
    ...over,
  }
}

export function someLock(placedBy: PersonId, over: Partial<Lock> = {}): Lock {
  return {
    id: random.id('lock'),
    scope: { person: null, group: null, resource: 'prod-db', role: null, address: null },
    reason: 'An incident',
    placedBy,
    placedAt: at(5000),
    until: null,
    liftedBy: null,
    liftedAt: null,
    ...over,
  }
}

export function someBrowserSession(person: PersonId, over: Partial<BrowserSession> = {}): BrowserSession {
  const id = over.id ?? random.id('browser')
  return {
    id,
    person,
    secretHash: `hash of ${id}`,
    providerSession: null,
    idToken: null,
    sealedRefreshToken: null,
    address: '203.0.113.9',
    userAgent: 'Firefox',
    createdAt: at(1000),
    expiresAt: at(50_000),
    endedAt: null,
    ...over,
  }
}

/** As `ssh-keygen -l` shows it. */
export const someFingerprint = 'SHA256:PJzhHsWAa7vpcF2HU8rE7IVwWLXsZwFSFR7xCMJEVI0'

export function someSignIn(over: Partial<SignIn> = {}): SignIn {
  return {
    id: random.id('signin'),
    code: 'KF7-XR2',
    purpose: 'postgres',
    address: '203.0.113.9',
    application: 'psql',
    resource: 'prod-db',
    role: 'readonly',
    secretHash: null,
    keyFingerprint: null,
    createdAt: at(1000),
    expiresAt: at(6000),
    state: 'waiting',
    person: null,
    browserSession: null,
    answeredAt: null,
    ...over,
  }
}

export function someBinding({ person, id }: BrowserSession, over: Partial<Binding> = {}): Binding {
  return {
    id: random.id('binding'),
    person,
    browserSession: id,
    kind: 'address',
    value: '203.0.113.9',
    createdAt: at(1000),
    expiresAt: at(20_000),
    endedAt: null,
    ...over,
  }
}

export function someToken(person: PersonId, over: Partial<Token> = {}): Token {
  const id = over.id ?? random.id('token')
  return {
    id,
    person,
    label: 'laptop',
    kind: 'access',
    secretHash: `hash of ${id}`,
    scopes: ['sessions', 'requests:read'],
    createdAt: at(1000),
    expiresAt: at(20_000),
    lastUsedAt: null,
    endedAt: null,
    ...over,
  }
}

export function someSession(grant: Grant, over: Partial<Session> = {}): Session {
  return {
    id: random.id('session'),
    person: grant.person,
    personName: 'erin@example.com',
    credential: 'token-aaaaaaaaaaaaaaaa',
    browserSession: null,
    grant: grant.id,
    resource: grant.resource,
    role: grant.role,
    database: 'shop',
    client: { protocol: 'postgres', address: '203.0.113.9', port: 50_123, application: 'psql', tls: true },
    node: 'gw-1',
    startedAt: at(4000),
    ...over,
  }
}

export const someEnd: SessionEnd = {
  at: at(9000),
  by: 'gate',
  code: 'GRANT_EXPIRED',
  message: 'Your access has ended.',
  cutLatencyMs: 3.25,
  bytesFromClient: 120,
  bytesFromTarget: 2 ** 40,
}

export function someEvent(type: AuditEvent['type'] = 'gateway.started', data: AuditEvent['data'] = {}): AuditEvent {
  return auditEvent(type, at(1000), theGateway, data)
}

/** Stored, with the word of one approver behind it. */
export async function storePerson(state: State, over: Partial<Person> = {}): Promise<Person> {
  const person = somePerson(over)
  await state.identity.transact((tx) => tx.savePerson(person))
  return person
}

export async function storeRequest(state: State, person: PersonId, over: Partial<Requested> = {}): Promise<Requested> {
  const request = someRequest(person, over)
  await state.access.transact((tx) => tx.insertRequest(request))
  return request
}

/** A grant of a request that needed nobody. */
export async function storeGrant(state: State, person: PersonId, over: Partial<Active> = {}): Promise<Active> {
  const named = { ...(over.resource && { resource: over.resource }), ...(over.role && { role: over.role }) }
  const request = someRequest(person, { approval: { kind: 'none' }, ...named })
  const grant = someGrant(request, over)
  await state.access.transact(async (tx) => {
    await tx.insertRequest(request)
    await tx.updateRequest(approved(request))
    await tx.insertGrant(grant)
  })
  return grant
}
