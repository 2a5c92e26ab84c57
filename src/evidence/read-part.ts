import { z } from 'zod'
import { partName } from './files.ts'
import { BrokenBundle, type OpenBundle } from './open-bundle.ts'

/** Bytes of a file that is read as a whole; recordings are not. */
const partBytesMax = 16 * 1024 * 1024

/** @throws BrokenBundle when it is missing, too large or of another shape */
export async function readPart<Shape extends z.ZodType>(
  bundle: OpenBundle,
  name: string,
  shape: Shape,
): Promise<z.output<Shape>> {
  const parsed = shape.safeParse(parseJson(await readText(bundle, name)))
  if (!parsed.success) throw new BrokenBundle(name, 'it does not hold what it should')
  return parsed.data
}

/** @throws BrokenBundle when it is missing or too large */
export async function readText(bundle: OpenBundle, name: string): Promise<string> {
  if (!bundle.names.has(name)) throw new BrokenBundle(name, 'it is missing')
  const source = bundle.file(name)
  if (source.sizeBytes > partBytesMax) throw new BrokenBundle(name, 'it is larger than any')
  return (await source.read(0, source.sizeBytes)).toString('utf8')
}

/** The lines of `name` and of the parts that it goes on in. @throws BrokenBundle at a line of another shape */
export async function* readLines<Shape extends z.ZodType>(
  bundle: OpenBundle,
  name: string,
  shape: Shape,
): AsyncGenerator<z.output<Shape>> {
  for (const part of partsOf(bundle, name)) {
    for (const line of (await readText(bundle, part)).split('\n').slice(0, -1)) {
      const parsed = shape.safeParse(parseJson(line))
      if (!parsed.success) throw new BrokenBundle(part, 'it does not hold what it should')
      yield parsed.data
    }
  }
}

/** `sessions.json`, `sessions-2.json`, … as far as they are there. */
export function partsOf({ names }: OpenBundle, name: string): string[] {
  const parts: string[] = []
  while (names.has(partName(name, parts.length + 1))) parts.push(partName(name, parts.length + 1))
  return parts
}

/** Undefined never fits a shape, which then says what is wrong. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
