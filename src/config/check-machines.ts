import { closest } from '../kernel/closest.ts'
import { globPattern } from '../policy/glob.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { Salvaged } from './salvage.ts'

/** Policies that name machines that are not there. */
export function machineFindings({ entries, machineNames }: Salvaged): readonly Finding[] {
  return entries.flatMap(({ index, policy }) =>
    (policy.who?.machines ?? []).flatMap((pattern, position) =>
      machineNames.some((name) => globPattern(pattern).test(name))
        ? []
        : [unknownMachine(['policies', index, 'who', 'machines', position], pattern, machineNames)],
    ),
  )
}

export function unknownMachine(path: ConfigPath, name: string, known: readonly string[]): Finding {
  const [meant] = closest(name, known)
  const listed = known.length === 0 ? 'There is none at all.' : `There are: ${known.slice(0, 12).join(', ')}.`
  const hint = meant === undefined ? listed : `Did you mean "${meant}"?`
  return { path, message: `there is no machine "${name}" in \`machines\``, hint }
}
