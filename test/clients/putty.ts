import type { SshPlace } from './ssh-place.ts'

/** What plink, psftp and pscp need to come in as Alice: her RSA key in their own format, the gateway's host key. */
export async function puttyOptions(place: SshPlace): Promise<readonly string[]> {
  const { gateway } = place
  const key = place.here('alice.ppk')
  await place.run(['puttygen', await gateway.key('alice', 'rsa'), '-o', key, '-O', 'private'])
  const { stdout } = await place.run(['ssh-keygen', '-lf', gateway.knownHostsFile])
  const hostKey = /SHA256:\S+/.exec(stdout)![0]
  return ['-batch', '-hostkey', hostKey, '-i', key, '-P', String(gateway.sshPort)]
}
