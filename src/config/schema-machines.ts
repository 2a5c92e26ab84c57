import * as z from 'zod'
import { duration, filePath, groups } from './schema-fields.ts'

/** RFC 7518 and RFC 8037 without secrets that both sides share: whoever checks could sign, too. */
export const machineAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const
export const machineTokenMsMax = 3_600_000

/** One entry of `machineIssuers`. */
export const machineIssuerSchema = z.strictObject({
  issuer: z.url({ protocol: /^https?$/ }).meta({
    description: 'The claim `iss` of its tokens, exactly. Its keys are found there, unless said otherwise.',
    examples: ['https://ci.example.com'],
  }),
  audience: z
    .string()
    .min(1)
    .max(500)
    .meta({
      description: 'What its tokens must be made for, claim `aud`. Take one that nothing else takes.',
      examples: ['https://gw.example.com'],
    }),
  jwksUri: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: 'Where its public keys are, instead of asking its metadata. `http` only on loopback.' }),
  jwksFile: filePath('Its public keys (a JWK Set, RFC 7517), for one that cannot be reached from here.').optional(),
  algorithms: z
    .array(z.enum(machineAlgorithms))
    .min(1)
    .default([...machineAlgorithms])
    .meta({ description: 'Signature algorithms that are accepted. All of them are asymmetric.' }),
  ca: filePath('PEM file with the authorities to trust for it instead of the system’s.').optional(),
})

const pattern = z.string().min(1).max(500)

/** One entry of `machines`. */
export const machineSchema = z.strictObject({
  issuer: z.string().min(1).meta({ description: 'Name of one of `machineIssuers`.' }),
  claims: z
    .record(z.string(), z.union([pattern, z.array(pattern).min(1)]))
    .refine((claims) => Object.keys(claims).length > 0, { error: 'expected at least one claim' })
    .meta({
      description:
        'Claims that a token must have to be this machine’s, all of them; of a list any value. `*` stands for any characters.',
    }),
  groups: groups('Groups that the machine is in. None of `staff`.').default([]),
  for: duration('How long its tokens last, at most 1h; never longer than the token they are exchanged for.').prefault(
    '15m',
  ),
  askedForBy: z
    .strictObject({ groups: groups('Any of these groups.') })
    .optional()
    .meta({ description: 'People who may ask for access on its behalf. Absent: nobody.' }),
})
