import { Fault } from '../../../kernel/fault.ts'
import type { StatementGuard } from '../../../resources/guard.ts'
import { wordsIn } from '../own-settings.ts'
import { judgeBy } from './rules.ts'

/** In `options`, behind a `-c` or any other switch that takes no value. @see PostgreSQL manual, "postgres", Options */
const setting = /^(?:--|-\w*)?(?:role|session[-_]authorization)=/i
const settingRole = {
  doings: [{ kind: 'set-role', table: null, whereMissing: false }],
  functions: [],
  attributes: [],
} as const

/**
 * A session that would begin in another role does at its start what SET ROLE does. Nobody is asked about that.
 * @param parameters the client's, with its `options`.
 * @throws Fault NOT_ALLOWED where the guard does not let SET ROLE pass by itself
 */
export function checkStartRole(parameters: readonly (readonly [string, string])[], guard: StatementGuard): void {
  if (!parameters.some(([name, value]) => setsRole(name, value))) return
  const { action, message } = judgeBy(guard)({ statements: [settingRole] })
  if (action === 'allow' || action === 'warn') return
  throw new Fault('NOT_ALLOWED', 'The guard of this role keeps a session from beginning in another role.', {
    hint: message ?? 'Connect without the setting "role".',
  })
}

function setsRole(name: string, value: string): boolean {
  return name === 'options' ? [...wordsIn(value)].some(({ text }) => setting.test(text)) : setting.test(`${name}=`)
}
