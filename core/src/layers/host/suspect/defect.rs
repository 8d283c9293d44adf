//! What may be wrong with an upper: the one table of defects, of what each means, and of those that can be mended.

/// Something in an upper or its work directory that is not as ovl and the kernel leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// A whiteout of a name that no lower shows.
    OrphanWhiteout,
    /// A whiteout in a directory that shows nothing of the lowers anyway.
    NeedlessWhiteout,
    /// An empty file with a whiteout mark, which only a lower may have.
    MarkedWhiteout,
    /// A redirect to where the lowers have no directory.
    DanglingRedirect,
    /// A redirect that is neither a name nor a clean path.
    BadRedirect,
    /// A directory of the lowers that shows at two places.
    SharedRedirect,
    /// An opaque mark with a value that means nothing on an upper.
    BadOpaque,
    /// An opaque mark on the upper's root.
    OpaqueRoot,
    /// A metacopy mark with a value that is not valid.
    BadMetacopy,
    /// Metadata of a file whose content no lower has.
    MissingContent,
    /// A redirect or metacopy mark in a form in which the kernel follows none.
    ForbiddenMark,
    /// A mark of the kernel's own with a value that it does not write.
    OddMark,
    /// Marks of the namespace that this upper's form does not use.
    OtherMarks,
    /// A record of ovl that cannot be read.
    BadRecord,
    /// A mark of fuse-overlayfs, which neither the kernel nor ovl reads.
    ForeignMark,
    /// A name that means a whiteout or an opaque directory in another form or to other tools.
    ForeignName,
    /// Whiteouts, and not one mark: perhaps a copy that has lost them.
    NoMarks,
    /// Records of two forms, or marks of two.
    MixedForms,
    /// What was not finished, in the work directory.
    Leftover,
    /// The mark of a volatile mount that was not ended as it should.
    Volatile,
    /// The kernel's index of hard links.
    Index,
}

/// What a defect does to who mounts or opens the upper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Harmless,
    /// A name is listed by the kernel that cannot be looked up.
    Ghost,
    /// Something of the lowers, or of the upper, does not show that should.
    Hidden,
    /// Something of the lowers shows that should not.
    Resurrected,
    /// Looking it up fails with this errno.
    Fails(&'static str),
    /// The upper is not opened for writing.
    Refused,
}

impl Defect {
    /// Returns its name, for programs: words joined by hyphens.
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// Returns what it does.
    pub fn effect(self) -> Effect {
        self.row().1
    }

    /// Returns the rows of the table of semantics that tell of it.
    pub fn rows(self) -> &'static str {
        self.row().2
    }

    /// Returns what it means, in plain words.
    pub fn meaning(self) -> &'static str {
        self.row().3
    }

    /// Returns whether it can be mended without a change of what shows.
    pub fn can_be_mended(self) -> bool {
        matches!(self, Self::OrphanWhiteout | Self::NeedlessWhiteout | Self::Leftover)
    }

    fn row(self) -> (&'static str, Effect, &'static str, &'static str) {
        use Effect as E;
        match self {
            Self::OrphanWhiteout => {
                ("orphan-whiteout", E::Harmless, "W03 W10", "the whiteout hides nothing that these lowers show")
            }
            Self::NeedlessWhiteout => (
                "needless-whiteout",
                E::Ghost,
                "L18 W05",
                "the whiteout stands where the lowers do not show; the kernel may list it",
            ),
            Self::MarkedWhiteout => (
                "marked-whiteout",
                E::Ghost,
                "L09 L10 W13",
                "a file stands for a whiteout, as in a lower; it hides what is below, and the kernel lists it",
            ),
            Self::DanglingRedirect => (
                "dangling-redirect",
                E::Hidden,
                "N08 N09",
                "no lower has a directory where the redirect leads; only the upper's part shows",
            ),
            Self::BadRedirect => {
                ("bad-redirect", E::Fails("EINVAL"), "N13", "the redirect is neither a name nor a clean path")
            }
            Self::SharedRedirect => (
                "shared-redirect",
                E::Fails("ESTALE"),
                "N08 N09",
                "the same directory of the lowers shows at another place too; the kernel fails on the one that it looks up second",
            ),
            Self::BadOpaque => {
                ("bad-opaque", E::Resurrected, "L08 L23", "only the value y hides the lowers, so what they have shows")
            }
            Self::OpaqueRoot => {
                ("opaque-root", E::Resurrected, "L23", "the root of an upper hides nothing, whatever its mark")
            }
            Self::BadMetacopy => ("bad-metacopy", E::Fails("EIO"), "Y06 Y07", "the metacopy mark is not valid"),
            Self::MissingContent => (
                "missing-content",
                E::Fails("EIO"),
                "Y03 Y05",
                "the file holds metadata alone, and the lowers have no content for it",
            ),
            Self::ForbiddenMark => {
                ("forbidden-mark", E::Fails("EPERM"), "N11 P06", "the kernel follows no such mark in this form")
            }
            Self::OddMark => {
                ("odd-mark", E::Harmless, "3", "the kernel does not write such a value, and passes over it")
            }
            Self::OtherMarks => {
                ("other-marks", E::Resurrected, "X03 X04", "marks of the other namespace do not count in this form")
            }
            Self::BadRecord => (
                "bad-record",
                E::Fails("EIO"),
                "1",
                "the attributes that ovl has kept cannot be read; the kernel does not need them",
            ),
            Self::ForeignMark => ("foreign-mark", E::Resurrected, "1", "only fuse-overlayfs reads this mark"),
            Self::ForeignName => (
                "foreign-name",
                E::Resurrected,
                "L15",
                "the name means a deletion to other tools; here it is a name as any other",
            ),
            Self::NoMarks => (
                "no-marks",
                E::Resurrected,
                "Z02",
                "there are whiteouts and not one mark; if this is a copy without extended attributes, what was replaced or moved is lost",
            ),
            Self::MixedForms => (
                "mixed-forms",
                E::Refused,
                "1",
                "it is written in two forms, and ovl opens neither; --upper-form says which to judge by",
            ),
            Self::Leftover => {
                ("leftover", E::Harmless, "Z06 M15", "work that was not finished, of which nothing shows")
            }
            Self::Volatile => (
                "volatile",
                E::Refused,
                "M17 Z05",
                "a volatile mount was not ended as it should; after a power cut the upper may be damaged",
            ),
            Self::Index => {
                ("index", E::Refused, "H07 M16", "an index of hard links is kept; only a mount with --index may write")
            }
        }
    }
}
