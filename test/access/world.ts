import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Access } from '../../src/access/access.ts'
import type { AccessDeps } from '../../src/access/deps.ts'
import { createAccess } from '../../src/access/create-access.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Clock } from '../../src/kernel/time.ts'
import type { Metrics } from '../../src/kernel/metrics.ts'
import { riskDefaults } from '../../src/policy/risk.ts'
import type { Bundle } from '../../src/policy/bundle.ts'
import type { Policy, Rules } from '../../src/policy/rules.ts'
import { createCatalogue, type Catalogue, type PostgresRole, type Resource } from '../../src/resources/catalogue.ts'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import type { State } from '../../src/store/state.ts'
import { createLog } from '../../src/observability/log.ts'
import { systemClock, systemRandom } from '../../src/system.ts'
import { stepOf } from '../../src/policy/approval.ts'
import { plainRole } from '../postgres-role.ts'

const nothing = () => undefined
export const silent: Metrics = { add: nothing, set: nothing, forget: nothing, observe: nothing }
export const quiet = createLog({ level: 'error' })

function person(name: string, ...groups: string[]): Person {
  return {
    id: `person-${name}`,
    issuer: 'https://login.example.com',
    subject: name,
    email: `${name}@example.com`,
    name,
    groups,
    seenAt: 0 as Person['seenAt'],
  }
}

export const people = {
  alice: person('alice', 'engineers'),
  bob: person('bob', 'approvers'),
  carol: person('carol', 'approvers'),
  /** An engineer who also approves. */
  dave: person('dave', 'engineers', 'approvers'),
  olga: person('olga', 'operators'),
  sam: person('sam', 'security'),
  mallory: person('mallory'),
}

const role = (name: string): PostgresRole => ({
  kind: 'postgres',
  ...plainRole,
  name,
  description: '',
  login: name,
  password: null,
  databases: ['shop'],
  recording: 'strict',
})

const prodDb: Resource = {
  kind: 'postgres',
  name: 'prod-db',
  description: '',
  labels: { env: 'prod' },
  host: 'localhost',
  port: 5432,
  others: [],
  targetSession: 'any',
  connectMs: 15_000,
  minTlsVersion: 'TLSv1.2',
  keepalives: null,
  logins: ['scram-sha-256', 'md5', 'none'],
  tls: { mode: 'verify-full', ca: null, serverName: null, identity: null },
  roles: { readonly: role('readonly'), admin: role('admin'), reporting: role('reporting') },
}

const policy = (name: string, approval: Policy['approval']): Policy => ({
  name,
  who: { groups: ['engineers'] },
  what: { resources: ['prod-db'], labels: {}, roles: [name] },
  length: { defaultMs: 60_000, mostMs: 3_600_000 },
  reason: 'required',
  ticket: null,
  approval,
})

export const policies: readonly Policy[] = [
  policy('readonly', { kind: 'people', steps: [stepOf(1, ['approvers'])] }),
  policy('admin', { kind: 'people', steps: [stepOf(2, ['approvers'])] }),
  policy('reporting', { kind: 'none' }),
]

export interface World extends AsyncDisposable {
  readonly folder: string
  readonly state: State
  readonly access: Access
  readonly catalogue: Catalogue
  /** Types of the audit events so far, in order. */
  auditTypes(): Promise<string[]>
}

/** What a test wants to be otherwise; rules beside the rest. */
export type Given = Partial<Omit<AccessDeps, 'rules' | 'bundles'> & Rules> & { readonly bundles?: readonly Bundle[] }

/** The access room over a store that is there. */
export function accessOver(state: State, clock: Clock, requestMs: number, { bundles, ...given }: Given = {}): Access {
  const { policies: theirs = policies, denials, countryOf, onConditionFailed, ...more } = given
  return createAccess({
    store: state.access,
    history: state.history,
    risk: riskDefaults,
    changes: state.changes,
    catalogue: createCatalogue([prodDb]),
    rules: {
      policies: theirs,
      ...(denials !== undefined && { denials }),
      ...{ countryOf, ...(onConditionFailed !== undefined && { onConditionFailed }) },
    },
    ...(bundles !== undefined && { bundles: () => bundles }),
    staff: { reviewers: ['security'], operators: ['operators'] },
    settings: { requestMs },
    publicUrl: new URL('https://gw.example.com'),
    person: (id) => state.identity.person(id),
    peopleByEmail: (email) => state.identity.peopleByEmail(email),
    clock,
    random: systemRandom,
    metrics: silent,
    ...more,
  })
}

/** The access room over a real store, with people in it. */
export async function openWorld(clock: Clock = systemClock, requestMs = 3_600_000, more: Given = {}): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-access-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const state = stack.use(await openSqliteState({ folder, clock, log: quiet }))
  await state.identity.transact(async (tx) => {
    for (const one of Object.values(people)) await tx.savePerson(one)
  })
  const catalogue = createCatalogue([prodDb])
  const access = accessOver(state, clock, requestMs, more)
  const auditTypes = async () =>
    (await state.audit.events(0, 1000)).map(({ json }) => (JSON.parse(json) as { type: string }).type)
  const all = stack.move()
  return { folder, state, access, catalogue, auditTypes, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
