import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JSONWebKeySet } from 'jose'

/** The public keys that a gateway publishes, from its data folder. */
export async function readKeys(dataFolder: string): Promise<JSONWebKeySet> {
  return JSON.parse(await readFile(join(dataFolder, 'keys', 'public.jwks'), 'utf8')) as JSONWebKeySet
}
