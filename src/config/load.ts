import { dirname, resolve } from 'node:path'
import { databaseUserFindings } from './check-database-users.ts'
import { guardFindings } from './check-guard.ts'
import { httpFindings } from './check-http.ts'
import { policyFindings, policyNotices } from './check-policies.ts'
import { settingsFindings, settingsNotices } from './check-settings.ts'
import type { Config } from './config.ts'
import { readLeftovers } from './leftovers.ts'
import { parseConfigDocument } from './document.ts'
import { guardNotices } from './notice-guard.ts'
import { httpNotices } from './notice-http.ts'
import { createReferenceReader, reasonOf } from './files.ts'
import { ConfigProblems } from './problems.ts'
import type { ConfigProblem } from './problems.ts'
import { readText } from './read-text.ts'
import { readReferences, resolveConfig } from './resolve.ts'
import { salvage } from './salvage.ts'
import { schemaFindings } from './schema-findings.ts'
import { configSchema } from './schema.ts'

/** A configuration that may be used, and what is worth knowing about it all the same. */
export interface CheckedConfig {
  readonly config: Config
  readonly notices: readonly ConfigProblem[]
}

/**
 * Reads and checks a configuration file and everything that it refers to.
 * @param file path as it was typed; problems carry it.
 * @throws ConfigProblems with all that is wrong
 */
export async function checkConfig(file: string, environment: NodeJS.ProcessEnv): Promise<CheckedConfig> {
  const document = parseConfigDocument(file, await readConfigFile(file))
  const parsed = configSchema.safeParse(document.value)
  const parts = salvage(document.value)
  const folder = dirname(resolve(file))
  const reader = createReferenceReader(folder, environment)
  const references = await readReferences(parts, reader)
  await readLeftovers(document.value, parts, reader)
  const findings = [
    ...(parsed.success || document.value === undefined ? [] : schemaFindings(parsed.error.issues, document.value)),
    ...settingsFindings(parts),
    ...httpFindings(parts),
    ...guardFindings(parts),
    ...databaseUserFindings(parts),
    ...policyFindings(parts),
    ...reader.findings,
  ]
  const problems = inOrder([...document.problems, ...findings.map(document.place)])
  if (!parsed.success || problems.length > 0) throw new ConfigProblems(problems)
  const config = deepFreeze(resolveConfig(parsed.data, folder, references))
  const { tls, certificates } = config.listen.web
  const notices = [
    ...settingsNotices(parts),
    ...httpNotices(parts, [tls, ...certificates]),
    ...policyNotices(parts),
    ...guardNotices(config),
    ...reader.notices,
  ]
  return {
    config,
    notices: inOrder(notices.map(document.place)),
  }
}

/** The same, for those who only want the value. @throws ConfigProblems */
export async function loadConfig(file: string, environment: NodeJS.ProcessEnv): Promise<Config> {
  return (await checkConfig(file, environment)).config
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readText(file)
  } catch (error) {
    const hint = 'Say which with --config FILE; config/production.yaml is an example.'
    const message = `cannot read the configuration: ${reasonOf(error)}`
    throw new ConfigProblems([{ file, line: 1, column: 1, path: '', message, expected: null, hint }])
  }
}

function inOrder(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  return problems.toSorted((left, right) => left.line - right.line || left.column - right.column)
}

/** Plain maps and lists; secrets, addresses and patterns guard themselves. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value
  for (const inner of Object.values(value)) deepFreeze(inner)
  return Object.freeze(value)
}
