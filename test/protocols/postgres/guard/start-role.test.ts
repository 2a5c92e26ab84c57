import { expect, test } from 'vitest'
import { checkStartRole } from '../../../../src/protocols/postgres/guard/start-role.ts'
import type { GuardAction, StatementGuard } from '../../../../src/resources/guard.ts'

const any = { tables: null, functions: null, whereMissing: false, several: false, message: null }
const guard = (action: GuardAction): StatementGuard => ({
  rules: [{ ...any, name: 'roles', kinds: ['set-role'], action }],
  ...{ otherwise: 'allow', askForMs: 1000, askers: null },
})
const notAllowed = expect.objectContaining({ code: 'NOT_ALLOWED' })

test.each([
  ['role', 'stronger'],
  ['ROLE', 'stronger'],
  ['session_authorization', 'stronger'],
  ['options', '-c role=stronger'],
  ['options', '-crole=stronger'],
  ['options', '--role=stronger'],
  ['options', '--session-authorization=stronger'],
  // The server reads switches as getopt does: `-e` takes no value.
  ['options', '-ec role=stronger'],
  ['options', '-ecrole=stronger'],
  ['options', String.raw`-c statement_timeout=1 -c ro\le=stronger`],
])('where SET ROLE may not pass, no session begins with it: %s=%s', (name, value) => {
  const parameters = [
    ['application_name', 'psql'],
    [name, value],
  ] as const
  expect(() => checkStartRole(parameters, guard('refuse'))).toThrow(notAllowed)
  expect(() => checkStartRole(parameters, guard('ask'))).toThrow(notAllowed)
  expect(() => checkStartRole(parameters, guard('warn'))).not.toThrow()
  expect(() => checkStartRole(parameters, guard('allow'))).not.toThrow()
})

test.each([
  ['search_path', 'role'],
  ['myapp.role', 'x'],
  ['options', '-c myapp.role=x -c search_path=role'],
  ['options', '-cmyapp.role=x'],
])('other settings are nothing to it: %s=%s', (name, value) => {
  expect(() => checkStartRole([[name, value]], guard('refuse'))).not.toThrow()
})
