import type { Finding } from './problems.ts'
import type { ConfigFile } from './schema.ts'

/** What is wrong with `identity.oauth` although each field fits its type. */
export function oauthFindings({ oauth, clientId, sameAddress }: ConfigFile['identity']): readonly Finding[] {
  if (oauth === undefined) return []
  const findings: Finding[] = []
  if (oauth.audience === oauth.clientId || oauth.audience === clientId) {
    findings.push({
      path: ['identity', 'oauth', 'audience'],
      message: 'ID tokens of that client are for this audience, too',
      hint: 'Give tokens for the gateway an audience of their own at the provider.',
    })
  }
  if (sameAddress) {
    findings.push({
      path: ['identity', 'oauth'],
      message: 'the provider does not tell from which address its page was opened, and `sameAddress` asks for that',
      hint: 'Leave out `oauth`, or `sameAddress`.',
      at: 'key',
    })
  }
  return findings
}
