import * as z from 'zod'
import { guardActions, kindGroups, statementKinds, type KindGroup } from '../resources/guard.ts'
import { addresses } from './schema-approval.ts'
import { duration, groups, name } from './schema-fields.ts'

// `guard` of a PostgreSQL role: rules over what statements do.

const kindNames = [...statementKinds, ...(Object.keys(kindGroups) as KindGroup[])] as const

const patterns = (what: string) =>
  z
    .array(z.string().min(1).max(200))
    .min(1)
    .meta({
      description: `${what} \`*\` stands for any characters. Without a schema it fits in every one. Case counts as the server stores names: mostly lower case.`,
    })

const action = (about: string) =>
  z.enum(guardActions).meta({
    description: about,
  })

const when = z.strictObject({
  kinds: z.array(z.enum(kindNames)).min(1).optional().meta({
    description:
      'What is done; any of these. `read`, `write` and `ddl` stand for several. docs/guard.md says what each is. Absent: anything that can be read.',
  }),
  tables: patterns('Tables to which it is done, such as `shop.orders`, `orders` or `audit.*`.').optional(),
  functions: patterns(
    'Functions that are called anywhere in the statement, such as `pg_terminate_backend`.',
  ).optional(),
  where: z.literal('missing').optional().meta({
    description: 'Only UPDATE and DELETE without WHERE, or with one that looks at no column.',
  }),
  statements: z.literal('several').optional().meta({
    description: 'Only messages with more than one statement.',
  }),
})

const rule = z.strictObject({
  name: name('What people read when it stops them.'),
  when: when.prefault({}).meta({ description: 'Every condition that is there must hold.' }),
  // oxlint-disable-next-line unicorn/no-thenable -- a word of the file; it is never a function
  then: action(
    '`allow`: it passes. `warn`: it passes, and the person reads a warning. `ask`: it waits until somebody agrees. `refuse`: it fails, and the session goes on.',
  ),
  message: z.string().min(1).max(300).optional().meta({
    description: 'What the person reads besides: why, or what to do instead.',
  }),
})

export const guardSchema = z.union([
  z.literal('read-only'),
  z.strictObject({
    rules: z.array(rule).max(200).default([]).meta({
      description:
        'Each thing that a statement does is judged by the first rule that fits it; the strictest word counts for the whole message.',
    }),
    otherwise: action(
      'What happens to what no rule fits. What cannot be read is refused all the same, unless a rule has the kind `unparsable`.',
    ).default('allow'),
    askFor: duration('How long a statement waits for an answer; then it fails. At most 1h.').prefault('5m'),
    askers: z
      .strictObject({
        from: groups('Any of these groups.').optional(),
        allOf: groups('Whoever is in all of these groups.').optional(),
        named: addresses('These people, by e-mail address; case does not matter.').optional(),
      })
      .optional()
      .meta({
        description:
          'Who answers when it asks; never the person themself. Absent: whoever could decide on the request for this access.',
      }),
  }),
])

export type GuardEntry = z.output<typeof guardSchema>
/** One with rules of its own. */
export type GuardRules = Exclude<GuardEntry, 'read-only'>
export type GuardRuleEntry = GuardRules['rules'][number]
