"""The hot loops: features from activity, margins and contributions from trees and a linear part."""
