import type { StatementQuestions } from '../../../access/statement-questions.ts'
import type { Random } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { StatementGuard } from '../../../resources/guard.ts'
import type { Session } from '../../../sessions/session.ts'
import type { StatementReader } from './reader.ts'
import { judgeBy } from './rules.ts'
import type { GuardDeps } from './session-guard.ts'

export interface GuardSources {
  readonly statements: StatementReader
  readonly questions: Pick<StatementQuestions, 'ask' | 'note'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

/** What judges the statements of a session, by the guard of its role. */
export function guardFor(guard: StatementGuard, session: Session, sources: GuardSources): GuardDeps {
  const { statements, questions, clock, random, log, metrics } = sources
  const { askers, askForMs: waitMs } = guard
  const told = new Set<string>()
  const failed = (error: unknown) => log.error({ error }, 'a word of the guard could not be written down')
  return {
    ...{ judge: judgeBy(guard), reader: statements, clock, failed },
    nonce: Buffer.from(random.bytes(9)).toString('base64url'),
    ask: ({ sql, verdict: { rule, about, message } }, gaveUp) =>
      questions.ask({ session, sql, rule, about, message, askers, waitMs }, gaveUp),
    audit: ({ action, rule, about }) => {
      metrics.add('curfew_guarded_statements_total', { action })
      const key = `${action} ${rule}`
      if (action === 'ask' || told.has(key)) return
      told.add(key)
      questions.note({ session, action, rule, about }).catch(failed)
    },
  }
}
