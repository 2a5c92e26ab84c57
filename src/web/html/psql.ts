import type { WebDeps } from '../deps.ts'

/**
 * Exactly what to type. Undefined while no PostgreSQL listener is open.
 * @see PostgreSQL manual, "Connection Strings", keyword/value form: values with spaces are single-quoted
 */
export function psqlCommand(
  { clientHost, postgresPort, caHint }: Pick<WebDeps, 'clientHost' | 'postgresPort' | 'caHint'>,
  resource: string,
  role: string,
): string | undefined {
  const port = postgresPort()
  if (port === undefined) return undefined
  const words = [
    `host=${quoted(clientHost)}`,
    ...(port === 5432 ? [] : [`port=${port}`]),
    `user=${quoted(role)}`,
    `dbname=${quoted(resource)}`,
    'sslmode=verify-full',
    ...(caHint === undefined || caHint === null ? [] : [`sslrootcert=${quoted(caHint)}`]),
  ]
  return `psql "${words.join(' ')}"`
}

function quoted(value: string): string {
  if (/^[\w./:@+-]+$/.test(value)) return value
  return `'${value.replaceAll(/[\\']/g, String.raw`\$&`)}'`
}
