import { readFile } from 'node:fs/promises'

/**
 * A file that people write. Other encodings are refused, not guessed: names in it would become other names.
 * @throws Error, also of the system
 */
export async function readText(file: string): Promise<string> {
  const bytes = await readFile(file)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Error('it is not text in UTF-8', { cause })
  }
}
