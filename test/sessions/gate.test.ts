import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { Person } from '../../src/identity/person.ts'
import { stands } from '../../src/identity/standing.ts'
import type { BrowserSession, IdentityTx, Token } from '../../src/identity/store.ts'
import type { Instant } from '../../src/kernel/time.ts'
import type { Change } from '../../src/kernel/change.ts'
import { Fault } from '../../src/kernel/fault.ts'
import { openSigningKey } from '../../src/recording/keys.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import type { Recordings } from '../../src/recording/recorder.ts'
import { openRecordings } from '../../src/recording/recordings.ts'
import type { Ask, Admission } from '../../src/sessions/admission.ts'
import { SessionGate } from '../../src/sessions/gate.ts'
import { systemClock, systemRandom } from '../../src/system.ts'
import { openWorld, people, policies, quiet, silent, type World } from '../access/world.ts'

const { alice, olga, mallory } = people
const minute = 60_000
const sessionsPerPersonMax = 5

const browserSession: BrowserSession = {
  id: 'browser-one',
  person: alice.id,
  secretHash: 'x',
  providerSession: null,
  idToken: null,
  sealedRefreshToken: null,
  address: '127.0.0.1',
  userAgent: 'test',
  createdAt: systemClock.now(),
  expiresAt: (systemClock.now() + 3_600_000) as Instant,
  endedAt: null,
}

const token: Token = {
  id: 'token-one',
  person: alice.id,
  label: 'test',
  kind: 'access',
  secretHash: 'y',
  scopes: ['sessions'],
  createdAt: browserSession.createdAt,
  expiresAt: browserSession.expiresAt,
  lastUsedAt: null,
  endedAt: null,
}

async function openGate(more: { freeBytesMin?: number } = {}) {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await openWorld())
  await world.state.identity.transact(async (tx) => {
    await tx.insertBrowserSession(browserSession)
    await tx.insertToken(token)
  })
  const key = await openSigningKey(world.folder)
  const folder = join(world.folder, 'recordings')
  const settings = { unsavedBytesMax: 1 << 20, unsavedMsMax: 250, freeBytesMin: more.freeBytesMin ?? 0 }
  const recordings = stack.use(
    await openRecordings({ folder, key, settings, clock: systemClock, log: quiet, metrics: silent }),
  )
  const gate = stack.use(newGate(world, recordings))
  const all = stack.move()
  return { world, gate, folder, key, recordings, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

function newGate(world: World, recordings: Recordings, node = 'gw-1') {
  return new SessionGate({
    node,
    catalogue: world.catalogue,
    connectCommand: (resource, role) => `${role.kind} ${role.name} ${resource}`,
    rules: { policies },
    operators: ['operators'],
    access: world.state.access,
    sessions: world.state.sessions,
    recordings,
    changes: world.state.changes,
    person: (id) => world.state.identity.person(id),
    stands: (identified) => stands(world.state.identity, identified, systemClock.now()),
    askLink: (resource, role) => world.access.askLink(resource, role),
    extendLink: (id) => world.access.extendLink(id),
    warnBeforeMs: [],
    sessionsPerPersonMax,
    clock: systemClock,
    random: systemRandom,
    log: quiet,
    metrics: silent,
    soon: setImmediate,
  })
}

const askFor = (person: Person, more: Partial<Ask> = {}): Ask => ({
  identified: {
    person: person.id,
    personName: person.email ?? '',
    credential: 'token-one',
    browserSession: 'browser-one',
  },
  resource: 'prod-db',
  role: 'reporting',
  database: 'shop',
  client: { protocol: 'postgres', address: '127.0.0.1', port: 5, application: 'psql', tls: true },
  ...more,
})

async function grant(world: World, lengthMs = minute, person = alice) {
  const wish = {
    resource: 'prod-db',
    role: 'reporting',
    lengthMs,
    reason: 'x',
    ticket: null,
    startsAt: null,
    origin: 'test',
  }
  const request = await world.access.ask(person, wish)
  return (await world.state.access.grantOf(request.id))!
}

/** What a protocol does: says goodbye when it is cut off, then ends. */
function hold(admission: Admission): Promise<Fault> {
  const { promise, resolve } = Promise.withResolvers<Fault>()
  const goodbye = () => {
    admission.told()
    admission.afterTold(() => {
      void admission.end({ by: 'gate', bytesFromClient: 1, bytesFromTarget: 2 })
      resolve(admission.cutOff.reason as Fault)
    })
  }
  if (admission.cutOff.aborted) goodbye()
  else admission.cutOff.addEventListener('abort', goodbye, { once: true })
  return promise
}

describe('admission', () => {
  test('needs a grant; without one the answer carries the link', async () => {
    await using open = await openGate()
    await expect(open.gate.admit(askFor(alice))).rejects.toMatchObject({
      code: 'NO_GRANT',
      hint: 'Ask for it: https://gw.example.com/ask?resource=prod-db&role=reporting',
    })
    expect(await open.world.auditTypes()).toContain('session.refused')
  })

  test('that is refused again and again does not fill the audit log', async () => {
    await using open = await openGate()
    const refused = Array.from({ length: 40 }, () => open.gate.admit(askFor(alice)))
    expect((await Promise.allSettled(refused)).every(({ status }) => status === 'rejected')).toBe(true)
    expect((await open.world.auditTypes()).filter((type) => type === 'session.refused')).toHaveLength(30)
  })

  test.each([
    ['an unknown resource', { resource: 'nope' }, 'RESOURCE_UNKNOWN'],
    ['an unknown role', { role: 'nope' }, 'ROLE_UNKNOWN'],
    ['an inherited name as role', { role: 'constructor' }, 'ROLE_UNKNOWN'],
    ['another database', { database: 'postgres' }, 'DATABASE_REFUSED'],
  ] as const)('refuses %s', async (_, more, code) => {
    await using open = await openGate()
    await grant(open.world)
    await expect(open.gate.admit(askFor(alice, more))).rejects.toMatchObject({ code })
  })

  test.each([
    ['signed out', (tx: IdentityTx) => tx.endBrowserSession('browser-one', systemClock.now())],
    ['had the token revoked', (tx: IdentityTx) => tx.endToken('token-one', systemClock.now())],
  ])('refuses who %s between being known and asking', async (_, end) => {
    await using open = await openGate()
    await grant(open.world)
    await open.world.state.identity.transact(end)
    await expect(open.gate.admit(askFor(alice))).rejects.toMatchObject({ code: 'SIGNED_OUT' })
    expect(open.gate.liveCount).toBe(0)
  })

  test('is refused beyond the number of sessions that one person may have', async () => {
    await using open = await openGate()
    await grant(open.world)
    const asked = Array.from({ length: sessionsPerPersonMax + 3 }, () => open.gate.admit(askFor(alice)))
    const outcomes = await Promise.allSettled(asked)
    const admitted = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    expect(admitted).toHaveLength(sessionsPerPersonMax)
    expect(outcomes.find((outcome) => outcome.status === 'rejected')?.reason).toMatchObject({
      code: 'TOO_MANY_CONNECTIONS',
    })
    await grant(open.world, minute, people.dave)
    const other = await open.gate.admit(askFor(people.dave))
    for (const { value } of [...admitted, { value: other }]) void hold(value)
  })

  test('of somebody whom no policy names shows no names', async () => {
    await using open = await openGate()
    const refused = open.gate.admit(askFor(mallory))
    await expect(refused).rejects.toMatchObject({
      code: 'RESOURCE_UNKNOWN',
      hint: expect.not.stringContaining('prod') as string,
    })
  })

  test('is refused by a lock, and by a full disk', async () => {
    await using open = await openGate()
    await grant(open.world)
    await open.world.access.placeLock(olga, { person: null, resource: 'prod-db', role: null }, 'incident')
    await expect(open.gate.admit(askFor(alice))).rejects.toMatchObject({ code: 'LOCKED' })
    await using full = await openGate({ freeBytesMin: Number.MAX_SAFE_INTEGER })
    await grant(full.world)
    await expect(full.gate.admit(askFor(alice))).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(full.gate.liveCount).toBe(0)
  })
})

describe('an opening', () => {
  /** A gate whose recordings wait until they are let go. */
  function slowGate({ world, recordings }: Awaited<ReturnType<typeof openGate>>) {
    const { promise: letGo, resolve: go } = Promise.withResolvers<void>()
    const start: typeof recordings.start = async (...what) => {
      await letGo
      return recordings.start(...what)
    }
    return { gate: newGate(world, { problem: () => recordings.problem(), start }), go }
  }

  test('is cut off before its start is on the disk, and over after it', async () => {
    await using open = await openGate()
    await grant(open.world)
    const { gate, go } = slowGate(open)
    await using _ = gate
    const { session, cutOff, told, admitted } = await gate.open(askFor(alice))
    const cut = once(cutOff, 'abort')
    await open.world.access.placeLock(olga, { person: alice.id, resource: null, role: null }, 'x')
    await cut
    expect(cutOff.reason).toMatchObject({ code: 'LOCKED' })
    told()
    expect(await open.world.state.sessions.session(session.id)).toBeUndefined()
    go()
    await expect(admitted).rejects.toMatchObject({ code: 'LOCKED' })
    const row = await open.world.state.sessions.session(session.id)
    expect(row?.end).toMatchObject({ by: 'gate', code: 'LOCKED', cutLatencyMs: expect.any(Number) as number })
    expect(await verifyRecording(join(open.folder, row!.recording!), open.key.publicKeys())).toMatchObject({
      state: 'sealed',
    })
    expect(gate.liveCount).toBe(0)
  })

  test('under a grant that is revoked meanwhile never becomes a session', async () => {
    await using open = await openGate()
    const { id } = await grant(open.world)
    const { gate, go } = slowGate(open)
    await using _ = gate
    const { session, cutOff, admitted } = await gate.open(askFor(alice))
    await open.world.access.revoke(olga, id, 'incident')
    go()
    await expect(admitted).rejects.toMatchObject({ code: 'NO_GRANT' })
    expect(cutOff.reason).toMatchObject({ code: 'GRANT_REVOKED' })
    expect(await open.world.state.sessions.session(session.id)).toBeUndefined()
    expect(await open.world.auditTypes()).toContain('session.refused')
    expect(gate.liveCount).toBe(0)
  })

  test('that cannot be recorded is cut off, and no session', async () => {
    await using open = await openGate({ freeBytesMin: Number.MAX_SAFE_INTEGER })
    await grant(open.world)
    const { session, cutOff, admitted } = await open.gate.open(askFor(alice))
    await expect(admitted).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect(cutOff.reason).toMatchObject({ code: 'DISK_FULL' })
    expect(await open.world.state.sessions.session(session.id)).toBeUndefined()
    expect(await open.world.auditTypes()).toContain('session.refused')
    expect(open.gate.liveCount).toBe(0)
  })

  test('counts as a session from the beginning, once', async () => {
    await using open = await openGate()
    await grant(open.world)
    const { gate, go } = slowGate(open)
    await using _ = gate
    const openings = []
    for (let count = 0; count < sessionsPerPersonMax; count++) openings.push(await gate.open(askFor(alice)))
    await expect(gate.open(askFor(alice))).rejects.toMatchObject({ code: 'TOO_MANY_CONNECTIONS' })
    go()
    for (const { admitted } of openings) void hold(await admitted)
    expect(gate.liveCount).toBe(sessionsPerPersonMax)
  })
})

describe('the cut', () => {
  type Cause = (open: Awaited<ReturnType<typeof openGate>>, admission: Admission) => Promise<unknown>
  const { person, credential } = askFor(alice).identified
  const announce = (open: Awaited<ReturnType<typeof openGate>>, change: Change) =>
    open.world.state.access.transact((tx) => tx.announce(change))
  const causes: readonly [string, Cause, string][] = [
    ['revoking', (open, { session }) => open.world.access.revoke(olga, session.grant, 'incident'), 'GRANT_REVOKED'],
    ['handing back', (open, { session }) => open.world.access.handBack(alice, session.grant), 'GRANT_HANDED_BACK'],
    [
      'a lock on the person',
      (open) => open.world.access.placeLock(olga, { person: alice.id, resource: null, role: null }, 'x'),
      'LOCKED',
    ],
    [
      'a lock on the resource',
      (open) => open.world.access.placeLock(olga, { person: null, resource: 'prod-db', role: null }, 'x'),
      'LOCKED',
    ],
    [
      'signing out',
      (open) => announce(open, { kind: 'signed-out', person, browserSession: 'browser-one' }),
      'SIGNED_OUT',
    ],
    [
      'signing out everywhere',
      (open) => announce(open, { kind: 'signed-out', person, browserSession: null }),
      'SIGNED_OUT',
    ],
    [
      'revoking the credential',
      (open) => announce(open, { kind: 'credential-revoked', person, credential }),
      'SIGNED_OUT',
    ],
    ['an operator', (open, { session }) => open.gate.kill(olga, session.id, 'too slow'), 'KILLED'],
    [
      'leaving the group',
      async (open) => {
        await open.world.state.identity.transact(async (tx) => {
          await tx.savePerson({ ...alice, groups: [] })
          await tx.announce({ kind: 'person-changed', person })
        })
      },
      'POLICY_CHANGED',
    ],
    ['shutting down', (open) => open.gate.drain(0), 'SHUTTING_DOWN'],
  ]

  test.each(causes)('comes by %s, with reason, latency, audit event and a sealed recording', async (_, cause, code) => {
    await using open = await openGate()
    await grant(open.world)
    const admission = await open.gate.admit(askFor(alice))
    const held = hold(admission)
    await cause(open, admission)
    const { code: told, hint } = await held
    expect(told).toBe(code)
    if (hint.includes('Ask again')) expect(hint).toContain('https://gw.example.com/ask?resource=prod-db&role=')
    await admission.end({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0 })
    const row = await open.world.state.sessions.session(admission.session.id)
    expect(row?.end).toMatchObject({ by: 'gate', code, bytesFromClient: 1, bytesFromTarget: 2 })
    expect(row?.end?.cutLatencyMs).toBeGreaterThanOrEqual(0)
    const verdict = await verifyRecording(join(open.folder, row!.recording!), open.key.publicKeys())
    expect(verdict).toMatchObject({ state: 'sealed' })
    expect(await open.world.auditTypes()).toContain('session.ended')
  })

  test('comes at the deadline, never before it', async () => {
    await using open = await openGate()
    // A busy machine takes its time to admit, too.
    const { expiresAt } = await grant(open.world, 3000)
    const admission = await open.gate.admit(askFor(alice))
    const fault = await hold(admission)
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt)
    expect(fault).toMatchObject({
      code: 'GRANT_EXPIRED',
      message: expect.stringContaining('prod-db as reporting') as string,
    })
  })

  test('leaves the sessions of others alone', async () => {
    await using open = await openGate()
    await grant(open.world)
    await grant(open.world, minute, people.dave)
    const own = await open.gate.admit(askFor(alice))
    const other = await open.gate.admit(askFor(people.dave))
    const held = hold(own)
    await open.world.access.placeLock(olga, { person: alice.id, resource: null, role: null }, 'x')
    await held
    expect(other.cutOff.aborted).toBe(false)
    void hold(other)
  })

  test('is not lost when it comes while the admission is being checked', async () => {
    await using open = await openGate()
    for (let round = 0; round < 15; round++) {
      const { id } = await grant(open.world)
      const [admitted] = await Promise.allSettled([
        open.gate.admit(askFor(alice)),
        open.world.access.revoke(olga, id, ''),
      ])
      if (admitted.status === 'fulfilled') expect((await hold(admitted.value)).code).toBe('GRANT_REVOKED')
      else expect(['NO_GRANT', 'GRANT_REVOKED']).toContain((admitted.reason as Fault).code)
      expect(open.gate.liveCount).toBe(0)
    }
  })

  test('is not for everybody to order', async () => {
    await using open = await openGate()
    await grant(open.world)
    const admission = await open.gate.admit(askFor(alice))
    await expect(open.gate.kill(mallory, admission.session.id, '')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    const held = hold(admission)
    await open.gate.kill(alice, admission.session.id, '')
    expect((await held).code).toBe('KILLED')
    await admission.end({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0 })
    await expect(open.gate.kill(alice, admission.session.id, '')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('comes when the recording cannot be written any more', async () => {
    await using open = await openGate()
    await grant(open.world)
    const admission = await open.gate.admit(askFor(alice))
    const held = hold(admission)
    await open.recordings[Symbol.asyncDispose]()
    admission.recorder.event('q', { id: 1, sql: 'select 1' })
    expect((await held).code).toBe('RECORDING_FAILED')
  })
})

describe('draining', () => {
  test('warns live sessions, refuses new ones, and is over when the last has ended by itself', async () => {
    await using open = await openGate()
    await grant(open.world)
    const admission = await open.gate.admit(askFor(alice))
    const warned = new Promise((resolve) => admission.onWarning((leftMs, cause) => resolve([leftMs, cause])))
    const drained = open.gate.drain(minute)
    expect(await warned).toEqual([minute, 'shutdown'])
    await expect(open.gate.admit(askFor(alice))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(admission.cutOff.aborted).toBe(false)
    await admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })
    await drained
    expect((await open.world.state.sessions.session(admission.session.id))?.end).toMatchObject({
      by: 'client',
      code: null,
    })
  })

  test('ends what goes on longer', async () => {
    await using open = await openGate()
    await grant(open.world)
    const held = hold(await open.gate.admit(askFor(alice)))
    await open.gate.drain(50)
    expect((await held).code).toBe('SHUTTING_DOWN')
  })
})

test('an end that the state could not take is written when it can', async () => {
  await using open = await openGate()
  await grant(open.world)
  const admission = await open.gate.admit(askFor(alice))
  const { sessions, audit } = open.world.state
  vi.spyOn(sessions, 'transact').mockRejectedValueOnce(new Fault('STORE_FAILED', 'The disk is full'))
  await admission.end({ by: 'client', bytesFromClient: 1, bytesFromTarget: 2 })
  expect((await sessions.session(admission.session.id))?.end).toBeNull()
  open.gate.sweep()
  await expect.poll(async () => (await sessions.session(admission.session.id))?.end).toMatchObject({ by: 'client' })
  expect(await audit.search({ types: ['session.ended'], limit: 9 })).toHaveLength(1)
})

test('what a killed gateway left open is closed at the next start', async () => {
  await using open = await openGate()
  await grant(open.world)
  const admission = await open.gate.admit(askFor(alice))
  const next = newGate(open.world, open.recordings)
  expect(await next.closeStranded()).toBe(1)
  expect((await open.world.state.sessions.session(admission.session.id))?.end).toMatchObject({ code: 'SHUTTING_DOWN' })
  const other = newGate(open.world, open.recordings, 'gw-2')
  expect(await other.closeStranded()).toBe(0)
  void hold(admission)
  await stat(open.folder)
})
