// `npm run docs`: writes what is made from the configuration schema.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configReference, configSchemaText } from '../src/config/reference.ts'

const root = join(import.meta.dirname, '..')
writeFileSync(join(root, 'docs/configuration.md'), configReference())
writeFileSync(join(root, 'config/curfew.schema.json'), configSchemaText())
