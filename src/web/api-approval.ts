import type * as z from 'zod'
import type { RequestView, StepView } from '../access/access.ts'
import type { Terms } from '../access/states.ts'
import type { Agreed } from '../access/terms.ts'
import { displayName, type Person } from '../identity/person.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import { approversWords, type Approvers } from '../policy/approval.ts'
import type * as schema from './api-schema-approval.ts'

/** Null: as it was asked for. */
export function termsFrom(wish: Omit<z.output<typeof schema.approving>, 'comment'>): Terms | null {
  const { lengthMs = null, startsAt, role = null, databases = null, networks = null } = wish
  const terms = { lengthMs, startsAt: startsAt === undefined ? null : instantOf(startsAt), role, databases, networks }
  return Object.values(terms).every((one) => one === null) ? null : terms
}

function instantOf(text: string): Instant {
  return Date.parse(text) as Instant
}

/** What the request JSON says of who decides, and of what they made of it. */
export function approvalJson(view: RequestView) {
  return {
    steps: view.steps.map(stepJson),
    waitsFor: waitsForJson(view),
    agreed: agreedJson(view.agreed),
    rolesToGive: [...view.rolesToGive],
    decisions: view.decisions.map(({ decision, person }) => ({
      ...{ person: someone(person), verdict: decision.verdict, step: decision.step + 1 },
      ...{ terms: decision.terms && termsJson(decision.terms), comment: decision.comment, at: isoTime(decision.at) },
    })),
  }
}

function stepJson({ step, state, approved, refused, missing }: StepView): z.output<typeof schema.step> {
  const { people, refusals } = step
  return {
    ...approversJson(step),
    ...{ state, people, missing, refusals },
    ...{ approvedBy: approved.map(someone), refusedBy: refused.map(someone) },
  }
}

function waitsForJson({ request, waitsFor }: RequestView): z.output<typeof schema.waitsFor> | null {
  if (waitsFor === null) return null
  const { missing, since, refused, refusals, others } = waitsFor
  return {
    ...approversJson(waitsFor),
    ...{ step: request.step + 1, missing, since: isoTime(since), refused, refusals },
    others: others && { ...approversJson(others), called: others.called, at: isoTime(others.at) },
  }
}

function approversJson(approvers: Approvers) {
  const { from, allOf, named, manager } = approvers
  return { groups: [...from], allOfGroups: [...allOf], named: [...named], manager, words: approversWords(approvers) }
}

function termsJson({ lengthMs, startsAt, role, databases, networks }: Terms): z.output<typeof schema.terms> {
  return { lengthMs, role, ...narrowJson({ startsAt, databases, networks }) }
}

function agreedJson({ lengthMs, startsAt, role, databases, networks }: Agreed): z.output<typeof schema.agreed> {
  return { lengthMs, role, ...narrowJson({ startsAt, databases, networks }) }
}

function narrowJson({ startsAt, databases, networks }: Pick<Terms, 'startsAt' | 'databases' | 'networks'>) {
  return {
    startsAt: startsAt === null ? null : isoTime(startsAt),
    databases: databases && [...databases],
    networks: networks && [...networks],
  }
}

function someone(person: Person) {
  return { id: person.id, displayName: displayName(person) }
}
