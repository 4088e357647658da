-- Question: which networks and data sets had been looked at before the rules of
--   the second edition were set, and helped to set them?
-- Grain: network or data set. A verdict on one of these was not predicted,
--   whatever was registered later
-- Reads: nothing
-- Params: none
-- Columns: kind: 'network' or 'data set'; id: its id in the catalog; sha256: of
--   its weights, or its fingerprint: the same under another id was seen, too
with

seen as (
    select *
    from (
        values
            ('network', 'pixels', null),
            (
                'network',
                'efficientnet_lite0',
                '579344248a93e23026e6b78f1f6faf0b'
                    || 'c1d282386f6c881cdbaacd49cabf77db'
            ),
            (
                'network',
                'cifar10_resnet20',
                '6f2ad5d546a4e0b224f73bbcaf3f115a'
                    || '3d36379cb0c4b545381813c27876187f'
            ),
            (
                'network',
                'cifar10_resnet32',
                '2e315899129c220afda2529cce687edf'
                    || '96937f3b022d1b22787f815d746fb4bf'
            ),
            (
                'network',
                'resnet20_onehot',
                '0621fa6c31b69a6770a377adb48c62c7'
                    || 'a2f1f250e0bf1627c071fad93d31caf8'
            ),
            (
                'network',
                'resnet20_onehot_u1',
                'fe38724385ae3093b436a5c7ecddf02a'
                    || '718b414c3715ff588b90fc7ea39aebbf'
            ),
            (
                'data set',
                'cifar10',
                '06c21efb42d63ff4004d982537e91ad6'
                    || '3bd4a629557397c51866eb1eb586bed0'
            ),
            (
                'data set',
                'fashion_mnist',
                '56e18f3f4931330b850ea9452c299719'
                    || 'fd1750455b55e816e2d94253ce9b4abb'
            ),
            (
                'data set',
                'digits',
                '93104fefb4304e57fb6075a2aa4675ce'
                    || 'dcf16234f01d2bde388d3270356d2e29'
            )
    ) as listed(kind, id, sha256)
)

select * from seen
