import { z } from 'zod'
import { BrokenBundle, type OpenBundle } from './open-bundle.ts'
import { partsOf, readPart } from './read-part.ts'

const asked = { resource: z.string(), role: z.string(), person: z.string() }
const request = z.looseObject({
  ...{ id: z.string(), state: z.string(), ...asked },
  ...{ lengthMs: z.number(), reason: z.string(), ticket: z.string().nullable() },
})
const decision = z.looseObject({ id: z.string(), request: z.string(), verdict: z.string(), person: z.string() })
const grant = z.looseObject({ id: z.string(), request: z.string(), state: z.string(), ...asked })
const end = z.looseObject({ code: z.string().nullable() })
const session = z.looseObject({
  ...{ id: z.string(), grant: z.string(), recorded: z.boolean(), ...asked },
  end: end.nullish(),
})

/** What a bundle says, as far as it is looked at here; every field of the state comes along. */
export interface Facts {
  readonly request: z.output<typeof request>
  readonly extensions: readonly z.output<typeof request>[]
  readonly decisions: readonly z.output<typeof decision>[]
  readonly grant: z.output<typeof grant> | null
  readonly sessions: readonly z.output<typeof session>[]
}

/** @throws BrokenBundle where something is missing, or of something else */
export async function readFacts(bundle: OpenBundle): Promise<Facts> {
  const { manifest, names } = bundle
  const sessions: Facts['sessions'][number][] = []
  for (const part of partsOf(bundle, 'sessions.json')) {
    sessions.push(...(await readPart(bundle, part, z.array(session))))
  }
  const facts: Facts = {
    request: await readPart(bundle, 'request.json', request),
    extensions: names.has('extensions.json') ? await readPart(bundle, 'extensions.json', z.array(request)) : [],
    decisions: await readPart(bundle, 'decisions.json', z.array(decision)),
    grant: manifest.grant === null ? null : await readPart(bundle, 'grant.json', grant),
    sessions,
  }
  const problem = stranger(facts, manifest)
  if (problem !== null) throw new BrokenBundle(null, problem)
  return facts
}

/** What is not of this story. */
function stranger(facts: Facts, manifest: OpenBundle['manifest']): string | null {
  const { request: asked, extensions, decisions, grant: given, sessions } = facts
  const requests = new Set([asked.id, ...extensions.map(({ id }) => id)])
  if (asked.id !== manifest.request) return 'the request is another than the list says'
  if (given !== null && (given.id !== manifest.grant || given.request !== asked.id))
    return 'the grant is of another request'
  if (decisions.some((one) => !requests.has(one.request))) return 'a decision is on another request'
  if (sessions.some((one) => one.grant !== given?.id)) return 'a session is under another grant'
  if (sessions.length !== manifest.sessions)
    return `there are ${sessions.length} sessions instead of ${manifest.sessions}`
  return null
}
