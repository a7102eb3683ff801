// #region session
import { createAuth } from 'cognito-token-handler'
import { createStorage } from 'cognito-token-handler/storage'

/** Who is logged in. One per page is enough. It never holds a token. */
export const auth = createAuth()

/** The files of whoever is logged in. */
export const storage = createStorage(auth)
// #endregion
