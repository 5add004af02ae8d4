from deploy.sbom import _licence


def test_a_licence_is_told_by_its_name_or_the_first_line_of_its_text():
    assert _licence({"licenses": [{"expression": "MIT AND 0BSD"}]}) == "MIT AND 0BSD"
    text = {"name": "declared license of 'x'", "text": {"content": "3-Clause BSD\n\nCopyright"}}
    approved = {"name": "License :: OSI Approved :: BSD License"}
    both = {"licenses": [{"license": text}, {"license": approved}]}
    assert _licence(both) == "3-Clause BSD, BSD License"
    assert _licence({}) == "see its texts in sbom.cdx.json"
