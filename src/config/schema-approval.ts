import * as z from 'zod'
import { duration, groups } from './schema-fields.ts'

// `approval` of a policy: who must agree before there is access.

export const addresses = (about: string) =>
  z
    .array(z.string().regex(/^[^\s@]+@[^\s@]+$/, { error: 'expected an e-mail address' }))
    .min(1)
    .meta({ description: about })

const approversFields = {
  from: groups('Any of these groups.').optional(),
  allOf: groups('Whoever is in all of these groups.').optional(),
  named: addresses('These people, by e-mail address; case does not matter.').optional(),
  manager: z
    .boolean()
    .optional()
    .meta({ description: 'The requester’s manager, as `identity.managerClaim` says. Absent: no.' }),
}

const stepFields = {
  people: z.int().min(1).max(10).optional().meta({ description: 'How many distinct people must approve. Absent: 1.' }),
  ...approversFields,
  refusals: z.int().min(1).max(10).optional().meta({ description: 'How many refusals decide. Absent: 1.' }),
  escalate: z
    .strictObject({
      after: duration('How long the step waits before others are called.'),
      to: z.strictObject(approversFields).meta({ description: 'Whose word counts as well from then on.' }),
    })
    .optional()
    .meta({ description: 'Who is called when those of the step do not answer. Absent: nobody.' }),
}

export const approvalSchema = z.union([
  z.literal('none'),
  z.strictObject({
    ...stepFields,
    steps: z.array(z.strictObject(stepFields)).min(1).max(5).optional().meta({
      description: 'Several, one after the other, instead of the one that stands here. Each takes other people.',
    }),
    lapseAfter: duration('How long a request waits in all before it lapses. Absent: `access.requestFor`.').optional(),
  }),
])

export type ApprovalEntry = z.output<typeof approvalSchema>
/** One that takes somebody. */
export type PeopleEntry = Exclude<ApprovalEntry, 'none'>
export type StepEntry = NonNullable<PeopleEntry['steps']>[number]
export type ApproversEntry = NonNullable<StepEntry['escalate']>['to']

/** Its steps, and where each stands: the short form is one. */
export function stepsIn(
  entry: PeopleEntry,
): readonly { readonly step: StepEntry; readonly path: readonly (string | number)[] }[] {
  const { steps, lapseAfter: _, ...only } = entry
  return steps === undefined
    ? [{ step: only, path: [] }]
    : steps.map((step, index) => ({ step, path: ['steps', index] }))
}
