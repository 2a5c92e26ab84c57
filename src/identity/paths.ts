/** The paths, below the public address, that the identity provider knows the gateway by. */
export const identityPaths = {
  /** Registered as redirect URI. */
  callback: '/sign-in/callback',
  /** Registered as back-channel logout URI; takes POST with `logout_token`. */
  backChannelLogout: '/sign-in/back-channel-logout',
  /** Registered as post-logout redirect URI. */
  signedOut: '/signed-out',
  /** The page that answers an in-band sign-in: `/s/KF7X-R2MD`. */
  signIn: '/s/',
} as const
