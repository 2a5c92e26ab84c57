import { Fault } from '../kernel/fault.ts'
import { isoTime } from '../kernel/time.ts'
import { windowsWords } from '../policy/grant-words.ts'
import type { Policy, Who } from '../policy/rules.ts'
import { covers } from '../policy/weigh.ts'
import type { Campaign, Entry } from './campaign.ts'
import type { LongToken } from './campaign-store.ts'
import type { AccessDeps } from './deps.ts'
import { endOfTime } from './grant-life.ts'
import type { Grant } from './states.ts'
import type { AccessTx } from './store.ts'

/** More than anybody looks at with care. */
export const entriesMax = 2000

type New = Pick<Entry, 'kind' | 'subject' | 'holder' | 'title' | 'details' | 'expiresAt' | 'lastUsedAt'>

/**
 * All that stands as the campaign begins: grants that last long or recur, tokens that last long, and what policies give
 * without asking anybody. Remembered sign-ins are not among it: they end with the browser's.
 * @throws Fault INPUT_INVALID when there is nothing, or too much
 */
export async function takeSnapshot(deps: AccessDeps, tx: AccessTx, campaign: Campaign): Promise<readonly Entry[]> {
  const { startedAt: now, grantMs, tokenMs } = campaign
  const living = (await tx.livingGrants()).filter((grant) => now < endOfTime(grant))
  const grants = living.filter((grant) => grant.windows !== null || longestMs(grant) >= grantMs)
  const tokens = await tx.longTokens(tokenMs, now, entriesMax + 1)
  const found = [
    ...(await Promise.all(grants.map((grant) => grantEntry(tx, grant)))),
    ...tokens.map(tokenEntry),
    ...deps.rules.policies.flatMap((policy) => policyEntries(deps, policy)),
  ]
  if (found.length === 0) throw new Fault('INPUT_INVALID', 'Nothing stands that could be looked at.')
  if (found.length > entriesMax) {
    throw new Fault('INPUT_INVALID', `That would be ${found.length} entries; ${entriesMax} is the most.`, {
      hint: 'Look at longer grants and tokens only.',
    })
  }
  return found.map((one) => ({
    ...(one as Entry),
    ...{ id: deps.random.id('entry'), campaign: campaign.id, state: 'waiting' as const },
    ...{ decidedBy: null, decidedAt: null, comment: '' },
  }))
}

/** Until its clock starts, one that waits for its first use ends earlier than it may last. */
function longestMs({ startsAt, expiresAt, lengthMs }: Grant): number {
  return Math.max(expiresAt - startsAt, lengthMs)
}

async function grantEntry(tx: AccessTx, grant: Grant): Promise<New> {
  const { id, person, resource, role, policy, windows, startsAt, expiresAt } = grant
  const [last] = await tx.sessionsUnder(person, [id], startsAt, 1)
  const request = await tx.request(grant.request)
  const hours = windows === null ? '' : `, ${windowsWords(windows)}`
  return {
    ...{ kind: 'grant', subject: id, holder: person, title: `${resource} as ${role}` },
    details: `since ${isoTime(startsAt).slice(0, 10)}${hours}, by policy “${policy}”: ${request?.reason || 'no reason given'}`,
    ...{ expiresAt, lastUsedAt: last === undefined ? null : last.session.startedAt },
  }
}

function tokenEntry({ id, person, label, scopes, createdAt, expiresAt, lastUsedAt }: LongToken): New {
  return {
    ...{ kind: 'token', subject: id, holder: person, title: `token “${label}”` },
    details: `since ${isoTime(createdAt).slice(0, 10)}, good for: ${scopes}`,
    ...{ expiresAt, lastUsedAt },
  }
}

/** One for each role that it gives, where it asks nobody. Emergencies have reviews of their own. */
function policyEntries({ catalogue }: AccessDeps, policy: Policy): readonly New[] {
  if (policy.approval.kind !== 'none' || policy.breakGlass !== undefined) return []
  const reached = catalogue.resources.flatMap((resource) =>
    Object.keys(resource.roles).flatMap((role) =>
      covers(policy, resource, role) ? [{ role, name: resource.name }] : [],
    ),
  )
  return [...new Set(reached.map(({ role }) => role))].map((role) => {
    const names = reached.filter((one) => one.role === role).map(({ name }) => name)
    const many =
      names.length === 1
        ? names[0]!
        : `${names.length} resources (${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''})`
    return {
      ...{ kind: 'policy', subject: subjectOf(policy.name, role), holder: null, title: `policy “${policy.name}”` },
      details: `gives ${whoWords(policy.who)} the role ${role} on ${many}, without asking anybody`,
      ...{ expiresAt: null, lastUsedAt: null },
    }
  })
}

/** Names of roles hold no space. */
function subjectOf(policy: string, role: string): string {
  return `${role} ${policy}`
}

/** The policy that a subject of this form is about, if the file has it still. */
export function policyOfSubject(
  { rules: { policies } }: Pick<AccessDeps, 'rules'>,
  subject: string,
): Policy | undefined {
  const name = subject.slice(subject.indexOf(' ') + 1)
  return policies.find((policy) => policy.name === name)
}

function whoWords({ groups = [], people = [], claims = {} }: Who): string {
  const said = Object.entries(claims).map(([claim, values]) => `${claim} ${values.join(' or ')}`)
  return (
    [groups.join(' or '), people.join(' or '), said.join(' and ')].filter((part) => part !== '').join(', ') ||
    'machines'
  )
}
