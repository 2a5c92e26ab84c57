import type { Directory, SshFiles } from './files.ts'

/**
 * How ssh reaches the gateway, as names and values of ssh_config.
 * `IdentitiesOnly`: an agent full of keys would use up the tries. The host's key is known, so nothing is asked.
 * @see ssh_config(5)
 */
export function settingsFor({ host, port }: Directory, files: SshFiles): readonly (readonly [string, string])[] {
  return [
    ['HostName', host],
    ['Port', String(port)],
    ['IdentityFile', quoted(files.key)],
    ['CertificateFile', quoted(files.certificate)],
    ['IdentitiesOnly', 'yes'],
    ['UserKnownHostsFile', quoted(files.knownHosts)],
    ['HostKeyAlias', host],
    ['StrictHostKeyChecking', 'yes'],
  ]
}

/** Arguments with spaces stand in double quotes; `sshFiles` has made sure that nothing else needs care. */
export function quoted(path: string): string {
  return /\s/.test(path) ? `"${path}"` : path
}
