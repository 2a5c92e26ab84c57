import * as z from 'zod'

/** @see RFC 6749 section 3.3: what a scope may be made of */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'expected a scope without spaces' })

export const oauthSchema = z
  .strictObject({
    clientId: z
      .string()
      .min(1)
      .meta({
        description: 'The client that people give psql as `oauth_client_id`. The device flow must be open to it.',
        examples: ['curfew-psql'],
      }),
    audience: z
      .string()
      .min(1)
      .meta({
        description:
          'What the claim `aud` of its access tokens must hold: a name that the provider gives to tokens for this gateway, and to no others.',
        examples: ['https://gw.example.com'],
      }),
    scopes: z.array(scope).min(1).default(['openid']).meta({
      description:
        'Scopes that psql asks for. Tokens must have those that are not OpenID’s own (`openid`, `profile`, `email`, `address`, `phone`, `groups`, `offline_access`).',
    }),
  })
  .meta({
    description:
      'Lets psql 18 sign in by itself, with `user=ROLE.oauth`. The provider’s access tokens must be signed JWTs. Absent: it does not. See using.md.',
  })
