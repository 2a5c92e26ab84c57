import { auditEvent, theGateway } from '../audit/event.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import { isoTime, later } from '../kernel/time.ts'
import { plainAddress } from './address.ts'
import type { IdentityDeps } from './deps.ts'
import { actorOf, endToken } from './endings.ts'
import { FailureLimit } from './failure-limit.ts'
import { secretHash } from './hash.ts'
import type { Machines } from './identity.ts'
import { definitionOf, isMachine, machineId, machineIssuer, valuesOf } from './machine.ts'
import type { Machine } from './machine.ts'
import { MachineIssuers, SubjectTokenRefused } from './machine-issuers.ts'
import type { VouchedMachine } from './machine-issuers.ts'
import { updatePerson } from './people.ts'
import type { Person } from './person.ts'
import type { ProviderFetch } from './provider-fetch.ts'
import { writeScopes, type Scope } from './scopes.ts'
import type { IdentityTx, Token } from './store.ts'

/** A machine asks for itself, uses what it gets, and hands it back. It never decides, locks, or makes tokens. */
export const machineScopes: readonly Scope[] = [
  'sessions',
  'sessions:read',
  'requests:read',
  'requests:write',
  'grants:write',
]
const livingPerMachineMax = 1000
const refusalsRecordedPerMinuteMax = 10
const labelCharsMax = 80
const shownCharsMax = 200

/** @param fetchFor how each issuer is reached; bounded in time and size. */
export function createMachines(deps: IdentityDeps, fetchFor: (ca: string | null) => ProviderFetch): Machines {
  const { store, clock, random, metrics } = deps
  const { machines, issuers } = deps.machines ?? { machines: [], issuers: [] }
  const trusted = new MachineIssuers(issuers, clock, ({ ca }) => fetchFor(ca))
  const refusals = new FailureLimit(clock, refusalsRecordedPerMinuteMax, 60_000)

  return {
    names: machines.map(({ name }) => name),

    async exchange({ subjectToken, machine: wanted, scopes }, from) {
      const address = plainAddress(from.address)
      try {
        const vouched = await trusted.verify(subjectToken)
        const machine = machineFor(machines, vouched, wanted)
        checkScopes(scopes)
        const made = await make(machine, vouched, scopes ?? machineScopes, address)
        metrics.add('curfew_sign_ins_total', { way: 'machine', outcome: 'ok' })
        return made
      } catch (error) {
        throw await noted(error, address)
      }
    },

    async byName(name) {
      const person = await store.person(machineId(name))
      return person?.subject === name ? person : undefined
    },

    askedForBy: ({ groups }) =>
      machines.filter(({ askedForBy }) => askedForBy.some((group) => groups.includes(group))).map(({ name }) => name),
  }

  async function make(machine: Machine, vouched: VouchedMachine, scopes: readonly Scope[], address: string) {
    const text = `curfew_${Buffer.from(random.bytes(32)).toString('base64url')}`
    const at = clock.now()
    const id = machineId(machine.name)
    const token: Token = {
      ...{
        id: random.id('token'),
        person: id,
        label: labelOf(vouched),
        kind: 'access',
        secretHash: secretHash(text),
        scopes,
      },
      ...{ createdAt: at, expiresAt: Math.min(later(at, machine.tokenMs), vouched.expiresAt) as Instant },
      ...{ lastUsedAt: null, endedAt: null },
    }
    const person = await store.transact(async (tx) => {
      const known = await keep(tx, machine, at)
      if ((await tx.livingTokens(id, at)) >= livingPerMachineMax) {
        throw new Fault('RATE_LIMITED', `${machine.name} has ${livingPerMachineMax} tokens that hold`)
      }
      const { issuer } = vouched.issuer
      await tx.insertMachineToken(token, { issuer, subject: vouched.subject, definition: definitionOf(machine) })
      await tx.record(
        auditEvent('token.exchanged', at, actorOf(known), { ...exchanged(machine, vouched, token), address }),
      )
      return known
    })
    return { text, token, person }
  }

  function keep(tx: IdentityTx, machine: Machine, at: Instant): Promise<Person> {
    return keepMachine(tx, machine, deps.settings.oidc.policyClaims ?? [], at)
  }

  /** What went wrong, for whoever sent it; the audit log learns of it, too. */
  async function noted(error: unknown, address: string): Promise<unknown> {
    const fault = error instanceof SubjectTokenRefused ? refused(error) : error
    if (!(fault instanceof Fault)) return fault
    metrics.add('curfew_sign_ins_total', { way: 'machine', outcome: fault.code })
    if (fault.code === 'STORE_FAILED' || !refusals.count(address)) return fault
    const data = { address, code: fault.code, reason: fault.message }
    await store.transact((tx) => tx.record(auditEvent('token.exchange-refused', clock.now(), theGateway, data)))
    return fault
  }
}

/**
 * Makes the state's machines those of the configuration: each is known before it comes, and what was made for one that is
 * gone, or that other tokens are taken for now, ends.
 */
export async function keepMachines({ store, clock, log, settings, machines: configured }: IdentityDeps): Promise<void> {
  const machines = configured?.machines ?? []
  const definitions = new Map(machines.map((machine) => [machineId(machine.name), definitionOf(machine)]))
  const ended = await store.transact(async (tx) => {
    const at = clock.now()
    for (const machine of machines) await keepMachine(tx, machine, settings.oidc.policyClaims ?? [], at)
    const known = await tx.machines()
    for (const gone of known.filter(({ id, groups }) => !definitions.has(id) && groups.length > 0)) {
      await updatePerson(tx, gone, { ...profileOf(gone), groups: [] }, gone.seenAt)
    }
    const stale = (await tx.livingMachineTokens(at)).filter(
      ({ token, origin }) => definitions.get(token.person) !== origin.definition,
    )
    for (const { token } of stale) {
      const owner = known.find(({ id }) => id === token.person)
      if (owner !== undefined) await endToken(tx, owner, token, at, 'machine changed')
    }
    return stale.length
  })
  if (ended > 0) log.info({ tokens: ended }, 'tokens of machines that changed were ended')
}

async function keepMachine(tx: IdentityTx, machine: Machine, claims: readonly string[], at: Instant): Promise<Person> {
  const { name, groups } = machine
  const id = machineId(name)
  const profile = {
    ...{ email: null, name, groups: [...new Set(groups)].sort() },
    // Nothing is said about it: no policy is for it by a claim, and none that denies is unsure.
    ...(claims.length > 0 && { claims: Object.fromEntries(claims.map((claim) => [claim, []])) }),
  }
  const known = await tx.person(id)
  if (known !== undefined) return updatePerson(tx, known, profile, at)
  const person: Person = { id, issuer: machineIssuer, subject: name, ...profile, seenAt: at, kind: 'machine' }
  await tx.savePerson(person)
  return person
}

function profileOf({ email, name, groups, claims }: Person) {
  return { email, name, groups, ...(claims !== undefined && { claims }) }
}

/** @throws SubjectTokenRefused; Fault INPUT_INVALID when it must be said which */
function machineFor(machines: readonly Machine[], { issuer, claims }: VouchedMachine, wanted: string | null): Machine {
  const own = machines.filter((machine) => machine.issuer.name === issuer.name && isMachine(machine, claims))
  const [machine, another] = wanted === null ? own : own.filter(({ name }) => name === wanted)
  if (machine === undefined) {
    throw new SubjectTokenRefused(wanted === null ? 'no machine has such claims' : 'it is not a token of that machine')
  }
  if (another === undefined) return machine
  const names = own.map(({ name }) => name).join(', ')
  throw new Fault('INPUT_INVALID', `The token is good for several machines: ${names}.`, {
    hint: 'Say which with the parameter "machine".',
  })
}

function checkScopes(scopes: readonly Scope[] | null): void {
  if (scopes === null || (scopes.length > 0 && scopes.every((scope) => machineScopes.includes(scope)))) return
  throw new Fault('INSUFFICIENT_SCOPE', 'Machines may not have those scopes.', {
    hint: `They may have: ${writeScopes(machineScopes)}.`,
  })
}

function refused({ message }: SubjectTokenRefused): Fault {
  return new Fault('TOKEN_REFUSED', `The subject token was refused: ${message}.`, {
    hint: 'Compare it with `machineIssuers` and `machines` in the configuration of the gateway.',
  })
}

function labelOf({ subject, issuer }: VouchedMachine): string {
  return plain(`${issuer.name}: ${subject}`).slice(0, labelCharsMax)
}

/** What decided, and what the issuer said of that. */
function exchanged({ claims: wanted }: Machine, { issuer, subject, claims }: VouchedMachine, token: Token) {
  const said = Object.keys(wanted).flatMap((claim) => valuesOf(claims, claim).map((value) => `${claim}=${value}`))
  const [jti] = valuesOf(claims, 'jti')
  return {
    ...{ token: token.id, until: isoTime(token.expiresAt), scopes: writeScopes(token.scopes), issuer: issuer.issuer },
    ...{
      subject: plain(subject),
      claims: said.slice(0, 20).map(plain),
      jti: jti === undefined ? undefined : plain(jti),
    },
  }
}

function plain(text: string): string {
  return text.replaceAll(/\p{C}/gu, ' ').trim().slice(0, shownCharsMax)
}
