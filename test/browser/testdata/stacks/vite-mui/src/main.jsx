import createCache from '@emotion/cache'
import { CacheProvider } from '@emotion/react'
import Button from '@mui/material/Button'
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import styled, { StyleSheetManager } from 'styled-components'

const nonce = document.querySelector('meta[property="csp-nonce"]')?.nonce
const cache = createCache({ key: 'css', nonce })
const Note = styled.p`
  color: rgb(1, 2, 3);
`

createRoot(document.getElementById('root')).render(
  createElement(
    CacheProvider,
    { value: cache },
    createElement(
      StyleSheetManager,
      { nonce },
      createElement(Button, { id: 'mui', variant: 'contained', style: { marginTop: 3 } }, 'Material'),
      createElement(Note, { id: 'sc' }, 'styled'),
    ),
  ),
)
