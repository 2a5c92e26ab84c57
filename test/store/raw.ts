// oxlint-disable-next-line eslint/no-restricted-imports -- a stranger at the file is what these tests are about
import { DatabaseSync } from 'node:sqlite'

/** A plain connection beside the state's own, with nothing in the way but the file itself. */
export type RawDatabase = DatabaseSync

export function openRaw(file: string): RawDatabase {
  return new DatabaseSync(file)
}
