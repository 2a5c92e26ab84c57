import { configJsonSchema } from './schema-findings.ts'
import type { JsonSchema } from './schema-findings.ts'

/** The JSON Schema for editors, as config/curfew.schema.json holds it. */
export function configSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`
}

/** The configuration reference, as docs/configuration.md holds it. */
export function configReference(): string {
  const sections = Object.entries(configJsonSchema().properties ?? {})
  return `${intro}${sections.map(([name, schema]) => section(name, schema)).join('\n')}`
}

const intro = `# Configuration

One YAML file. \`config/curfew.yaml\` is what the demo runs, \`config/production.yaml\` an example for production; \`curfew config check FILE\` says all that is wrong with a file, with line and column; \`config/curfew.schema.json\` lets editors complete and check it. This page is made from the same schema (\`npm run docs\`).

- **Lengths of time** are written \`90s\`, \`30m\`, \`8h\`, \`2d\` or \`250ms\`; **sizes** \`256KiB\`, \`1MiB\`, \`2GiB\`.
- **Secrets** are never written in the file: \`env:NAME\` takes one from the environment, \`file:PATH\` from a file (a final newline is dropped).
- **Paths** are relative to the folder of the file.
- \`NAME\` stands for a name of your choice, \`[ ]\` for an entry of a list. Keys that are marked required must be there.

`

interface Row {
  readonly key: string
  readonly schema: JsonSchema
  readonly required: boolean
}

function section(name: string, schema: JsonSchema): string {
  return `## ${name}\n\n${schema.description ?? ''}\n${table(rowsOf(name, schema))}${kindsOf(name, schema).map(kindSection).join('')}`
}

/** What there is a table of its own for: `resources.NAME`, once for each kind. */
function kindsOf(name: string, { additionalProperties }: JsonSchema): readonly Row[] {
  if (typeof additionalProperties !== 'object') return []
  return (additionalProperties.oneOf ?? []).map((schema) => ({ key: `${name}.NAME`, schema, required: false }))
}

function kindSection({ key, schema }: Row): string {
  return `\n### ${schema.title}\n${table(rowsOf(key, schema))}`
}

function table(rows: readonly Row[]): string {
  const head = '| key | value | default | |\n|---|---|---|---|\n'
  return rows.length === 0 ? '' : `\n${head}${rows.map(writeRow).join('')}`
}

/** Every key below `schema`, in the schema's order. */
function rowsOf(prefix: string, schema: JsonSchema): readonly Row[] {
  if (schema.properties !== undefined) {
    return Object.entries(schema.properties).flatMap(([key, inner]) => {
      const row = { key: `${prefix}.${key}`, schema: inner, required: schema.required?.includes(key) ?? false }
      return [row, ...rowsOf(row.key, inner)]
    })
  }
  if (schema.items?.properties !== undefined) return rowsOf(`${prefix}[ ]`, schema.items)
  if (typeof schema.additionalProperties === 'object' && schema.additionalProperties.properties !== undefined) {
    return rowsOf(`${prefix}.NAME`, schema.additionalProperties)
  }
  return (schema.anyOf ?? []).flatMap((branch) => rowsOf(prefix, branch))
}

function writeRow({ key, schema, required }: Row): string {
  const fallback = schema.default === undefined ? (required ? 'required' : 'optional') : code(schema.default)
  const example =
    schema.examples === undefined || isLength(schema) ? '' : ` E.g. ${schema.examples.map(code).join(', ')}.`
  return `| \`${key}\` | ${kindOf(schema)} | ${fallback} | ${cell(`${schema.description ?? ''}${example}`)} |\n`
}

function kindOf(schema: JsonSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(' or ')
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ')
  switch (schema.type) {
    case 'string':
      return textKind(schema)
    case 'integer':
      return numberKind(schema)
    case 'boolean':
      return '`true`, `false`'
    case 'array':
      return `list of ${schema.items === undefined ? 'anything' : plural(kindOf(schema.items))}`
    default:
      return 'map'
  }
}

function textKind(schema: JsonSchema): string {
  if (isLength(schema)) return 'length of time'
  if (schema.pattern?.includes('KiB') === true) return 'size'
  if (schema.pattern?.startsWith('^(env:') === true) return '`env:` or `file:`'
  return schema.format === 'uri' ? 'address' : 'text'
}

function isLength(schema: JsonSchema): boolean {
  return schema.pattern?.includes('(ms|s|m|h|d)') === true
}

/** Zod writes the bounds of what a number can hold exactly; they say nothing. */
function numberKind({ minimum, maximum }: JsonSchema): string {
  if (minimum === undefined || maximum === undefined) return 'number'
  return maximum >= Number.MAX_SAFE_INTEGER ? `number, at least ${minimum}` : `number, ${minimum}–${maximum}`
}

function plural(kind: string): string {
  return kind === 'length of time' ? 'lengths of time' : kind.startsWith('`') ? kind : `${kind}s`
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' && value !== '' ? value : JSON.stringify(value)}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
