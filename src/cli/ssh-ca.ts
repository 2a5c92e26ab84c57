import type { Command } from 'commander'
import { readTargetAuthority, sshPublicLine } from '../identity/ssh/keys.ts'
import { publicPaths, sshAuthority } from '../web/api-schema.ts'
import { createGatewayClient } from './gateway-client.ts'
import { gatewayOrigin, readAuthorities } from './known-gateways.ts'
import { asUsage } from './options.ts'
import { print } from './print.ts'
import { CliProblem } from './problem.ts'
import { readSession } from './session-file.ts'

interface Options {
  readonly gateway?: string
  readonly ca?: string
  readonly data?: string
  readonly raw?: true
}

export function addSshCa(program: Command): void {
  program
    .command('ssh-ca')
    .summary('print what SSH targets need to trust')
    .description(
      'Prints the authority that signs the certificates the gateway logs in with, and where to put it on a target. It is public. Needed where a role has no key of its own.',
    )
    .option(
      '--gateway <url>',
      'address of the gateway; by default the one you are logged in to',
      asUsage(gatewayOrigin),
    )
    .option('--ca <file>', 'PEM file with the authorities to trust for it')
    .option('--data <folder>', "read it from the gateway's data folder instead")
    .option('--raw', 'print the line with the key only')
    .addHelpText(
      'after',
      "\nExamples:\n  curfew ssh-ca\n  curfew ssh-ca --raw | ssh root@web-1.internal 'cat > /etc/ssh/curfew_ca.pub'\n",
    )
    .action(async (options: Options) => {
      const line = await authority(options)
      print(options.raw ? line : instructions(line))
    })
}

async function authority({ gateway, ca, data }: Options): Promise<string> {
  if (data !== undefined) return fromFolder(data)
  const at =
    gateway === undefined ? await readSession() : { gateway, ca: ca === undefined ? null : await readAuthorities(ca) }
  await using client = createGatewayClient({ gateway: at.gateway, ca: at.ca })
  return await client.line(publicPaths.sshAuthority, sshAuthority)
}

async function fromFolder(folder: string): Promise<string> {
  const pair = await readTargetAuthority(folder)
  if (pair !== undefined) return sshPublicLine(pair, 'curfew-ca')
  throw new CliProblem(`${folder} holds no SSH authority`, {
    hint: 'The gateway makes it at its first start. Is this its data folder (gateway.data)?',
  })
}

function instructions(line: string): string {
  return `On the target, as root:

1. Put this line into /etc/ssh/curfew_ca.pub:

${line}

2. Put this line into /etc/ssh/sshd_config, before any Match:

TrustedUserCAKeys /etc/ssh/curfew_ca.pub

   A certificate then opens the account that it names: the role's login. To let it open others, or only some, name the
   logins that are let in, one a line, in a file per account:

#AuthorizedPrincipalsFile /etc/ssh/principals/%u

3. Check, and let it read the files again (the service is sshd on some systems):

sshd -t && systemctl reload ssh

To test, connect through the gateway with a role that has no key. The target then logs who came:
"Accepted publickey for LOGIN … ID (person and session) … CA …".`
}
