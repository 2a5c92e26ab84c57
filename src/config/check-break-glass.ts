import type { ConfigPath, Finding } from './problems.ts'
import type { PlacedPolicy } from './salvage.ts'
import { emergencyMsMax } from './schema-break-glass.ts'
import { lengthsOf } from './schema-policies.ts'

/** What a policy for emergencies must not be: asked of somebody, without a word, long, or looked at by nobody. */
export function breakGlassFindings({ index, policy }: PlacedPolicy): readonly Finding[] {
  const { breakGlass, approval, reason } = policy
  if (breakGlass === undefined) return []
  const at = (...rest: ConfigPath): ConfigPath => ['policies', index, ...rest]
  const { from, named } = breakGlass.review
  return [
    ...when(approval !== undefined && approval !== 'none', {
      path: at('approval'),
      message: 'an emergency waits for nobody',
      hint: 'Remove it; who looks at it afterwards stands in `breakGlass.review`.',
    }),
    ...when(reason !== 'required', { path: at('reason'), message: 'an emergency always needs a reason' }),
    ...when(lengthsOf(policy).mostMs > emergencyMsMax, {
      path: at('for', 'most'),
      expected: 'at most 4h',
      message: 'an emergency is short',
      hint: 'Whoever needs longer asks in the usual way meanwhile.',
    }),
    ...when(from === undefined && named === undefined, {
      path: at('breakGlass', 'review'),
      message: 'it names nobody',
      hint: 'Name groups (`from`) or people (`named`) who look at each use afterwards.',
    }),
  ]
}

function when(isWrong: boolean, finding: Finding): readonly Finding[] {
  return isWrong ? [finding] : []
}
