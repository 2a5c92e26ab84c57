import { timeForPeople, type Instant } from '../kernel/time.ts'
import type { BundleManifest } from './manifest.ts'

/** What somebody reads who unpacks a bundle and has never seen one. */
export function readme(about: Omit<BundleManifest, 'format' | 'files' | 'madeAt'>, madeAt: Instant): string {
  const { gateway, madeBy, request, grant, living, sessions, recordings } = about
  return `# Evidence about ${request}

Made by the Curfew gateway “${gateway}” on ${timeForPeople(madeAt)}, for ${madeBy.displayName} (${madeBy.id}).

| about | |
|---|---|
| request | ${request} |
| grant | ${grant ?? 'none came of it'} |
| sessions | ${sessions} |
| recordings | ${recordings === 'whole' ? 'whole' : 'their chain and signature, not what they show'} |
| state | ${living ? '**still living when this was made: more may have happened since**' : 'over: no session can be opened under it any more'} |

## How to check it

Nothing here needs the gateway. Get the gateway's public keys from somebody you trust, on another way than this archive: they are
published at https://GATEWAY/.well-known/curfew/keys.json, and lie in keys/public.jwks of its data folder. Then, with the archive as it
came (not unpacked):

    curfew verify --key public.jwks ARCHIVE.tar

It checks every byte of the archive and says for each part what holds. By hand: manifest.jws is a JWS (RFC 7515, EdDSA) of manifest.json, byte
for byte; manifest.json lists every other file with its SHA-256; docs/evidence.md of Curfew has the rest.

## What is in it

| file | what it is |
|---|---|
| request.json | what was asked for: who, what, why, how long, the policy, and what it took |
| extensions.json | requests for more time for the same grant, where there were any |
| decisions.json | who approved or refused, when, with which words |
| grant.json | the access that came of it, and how it ended |
| review.json | of emergency access: who looked at it afterwards |
| sessions.json | each connection under the grant: from where, as whom, from when until when, how it ended |
| people.json | the people whose ids are named, as the gateway knew them when this was made |
| recordings/SESSION/chain.jsonl | hashes of all parts of a recording, each over the one before |
| recordings/SESSION/manifest.jws | the signature under that chain, made when the session ended |
| recordings/SESSION/recording.curfew | the recording itself, where it was asked for: \`curfew replay FILE\` |
| recordings/SESSION/missing.json | a recording that was there and cannot be read any more |
| audit.jsonl | events of the audit log about all of this; behind each run of them the signed checkpoint that covers them |
| keys.json | the gateway's public keys, for comparison only: trust your own copy |
| manifest.json, manifest.jws | the list of all files, and its signature |

Long lists go on in sessions-2.json, audit-2.jsonl and so on. Instants are ISO 8601 in UTC; lengths are in milliseconds.

## What it proves, and what not

- That the gateway whose key you trust made this archive as it is, at the time it says.
- That each event in audit.jsonl stands in its audit log at that place, as that log was when the checkpoint was signed: at the
  latest ten minutes after the event, or when this was made. Who rewrote the log since would have had to sign anew.
- That each sealed recording is the one that the gateway signed at the end of its session.
- Request, decisions, grant and sessions are what the gateway's state said when this was made. Where the audit log tells of the same
  steps, \`curfew verify\` compares the two.
- Not that nothing was left out: an archive cannot show what is not in it. The whole audit log can (\`curfew audit verify\`).
- Not against somebody who held the gateway's key: they can sign anything. Earlier copies of the audit log show that.
- Not who sat at a keyboard: people are who the identity provider said they were.
`
}
